"""LeukemiaAttri at 640 px, subset HCM_10x_C1."""

_base_ = './leukemia_attri_640.py'

train_dataloader = dict(dataset=dict(dataset=dict(subset='HCM_10x_C1')))
val_dataloader = dict(dataset=dict(subset='HCM_10x_C1'))
test_dataloader = val_dataloader
