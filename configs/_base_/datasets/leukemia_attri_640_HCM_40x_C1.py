"""LeukemiaAttri at 640 px, subset HCM_40x_C1."""

_base_ = './leukemia_attri_640.py'

train_dataloader = dict(dataset=dict(dataset=dict(subset='HCM_40x_C1')))
val_dataloader = dict(dataset=dict(subset='HCM_40x_C1'))
test_dataloader = val_dataloader
val_evaluator = [
    dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/LeukemiaAttri/HCM_40x_C1/Annotations/test.json'),
]
test_evaluator = val_evaluator
