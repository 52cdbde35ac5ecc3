"""LeukemiaAttri at 640 px, subset HCM_10x_C2."""

_base_ = './leukemia_attri_640.py'

train_dataloader = dict(dataset=dict(dataset=dict(subset='HCM_10x_C2')))
val_dataloader = dict(dataset=dict(subset='HCM_10x_C2'))
test_dataloader = val_dataloader
val_evaluator = [
    dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/LeukemiaAttri/HCM_10x_C2/Annotations/test.json'),
]
test_evaluator = val_evaluator
