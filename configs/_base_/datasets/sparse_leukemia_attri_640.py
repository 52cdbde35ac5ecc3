"""Sparse-LeukemiaAttri at 640 px: a fifth of each training image is annotated, test images completely."""

_base_ = './leukemia_attri_640.py'

train_dataloader = dict(dataset=dict(dataset=dict(subset='HCM_40x_C2_Sparse', annotation='sparse')))
val_dataloader = dict(dataset=dict(subset='HCM_40x_C2_Sparse'))
test_dataloader = val_dataloader
