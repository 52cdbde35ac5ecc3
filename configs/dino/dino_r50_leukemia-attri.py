"""DINO on LeukemiaAttri, HCM_100x_C2. Paper (LLD Table 4): mAP@50 43.7; (MICCAI Table 2): mAP@50-95 25.4.

python tools/train.py configs/dino/dino_r50_leukemia-attri.py
"""

_base_ = [
    '../_base_/models/dino_r50.py',
    '../_base_/datasets/leukemia_attri_640.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# learns no background under ignored cells; without any it is MMDetection's DINO
model = dict(
    type='mmleuk.SparseRegionDINO',
    bbox_head=dict(type='mmleuk.SparseRegionDINOHead', num_classes=_base_.num_classes))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.0001),
    clip_grad=dict(max_norm=0.1, norm_type=2))
custom_hooks = []
