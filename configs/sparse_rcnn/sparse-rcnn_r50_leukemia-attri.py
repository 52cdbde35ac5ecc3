"""Sparse R-CNN on LeukemiaAttri, HCM_100x_C2. Paper (LLD Table 4): mAP@50 36.7; (MICCAI Table 2): mAP@50-95 21.3.

python tools/train.py configs/sparse_rcnn/sparse-rcnn_r50_leukemia-attri.py
"""

_base_ = [
    '../_base_/models/sparse-rcnn_r50.py',
    '../_base_/datasets/leukemia_attri_640.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# learns no background under ignored cells; without any it is MMDetection's head
model = dict(
    roi_head=dict(bbox_head=[
        dict(head, type='mmleuk.SparseRegionDIIHead', num_classes=_base_.num_classes)
        for head in _base_.model.roi_head.bbox_head]),
    train_cfg=dict(rcnn=[
        dict(stage, sampler=dict(type='mmleuk.SparseRegionPseudoSampler')) for stage in _base_.model.train_cfg.rcnn]))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.000025, weight_decay=0.0001),
    clip_grad=dict(max_norm=1, norm_type=2))
custom_hooks = []
