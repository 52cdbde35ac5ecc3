"""FCOS on LeukemiaAttri, HCM_100x_C2. Paper (LLD Table 4): mAP@50 40.6; (MICCAI Table 2): mAP@50-95 22.5.

python tools/train.py configs/fcos/fcos_r50_leukemia-attri.py
"""

_base_ = [
    '../_base_/models/fcos_r50.py',
    '../_base_/datasets/leukemia_attri_640.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# learns no background under ignored cells; without any it is MMDetection's head
model = dict(bbox_head=dict(
    type='mmleuk.SparseRegionFCOSHead', num_classes=_base_.num_classes, loss_cls=dict(type='mmleuk.KnownFocalLoss')))
optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35, norm_type=2))
custom_hooks = []
