"""LeukemiaAttri at 640 px: trained on the subset HCM_100x_C2, tested on LCM_100x_C2."""

_base_ = './leukemia_attri_640.py'

val_dataloader = dict(dataset=dict(subset='LCM_100x_C2'))
test_dataloader = val_dataloader
