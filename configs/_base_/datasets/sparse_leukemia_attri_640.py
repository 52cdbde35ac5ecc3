"""Sparse-LeukemiaAttri at 640 px: a fifth of each training image is annotated, test images completely."""

_base_ = './leukemia_attri_640.py'

train_dataloader = dict(dataset=dict(dataset=dict(subset='HCM_40x_C2_Sparse', annotation='sparse')))
val_dataloader = dict(dataset=dict(subset='HCM_40x_C2_Sparse'))
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='mmleuk.CocoMetric',
        ann_file='{{$MMLEUK_DATA:data}}/LeukemiaAttri/HCM_40x_C2_Sparse/Annotations/test.json',
        metric='bbox',
        classwise=True,
        metric_items=('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', 'AR@100')),
]
test_evaluator = val_evaluator
