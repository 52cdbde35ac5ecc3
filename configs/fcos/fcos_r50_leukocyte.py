"""FCOS on leukocytes at 600 px, 16 epochs. Paper: mAP .795, mAP@50 .896, from COCO weights.

python tools/train.py configs/fcos/fcos_r50_leukocyte.py
"""

_base_ = [
    '../_base_/models/fcos_r50.py',
    '../_base_/datasets/leukocyte_600.py',
    '../_base_/schedules/leukocyte.py',
    '../_base_/default_runtime.py',
]

# learns no background under ignored cells; without any it is MMDetection's head
model = dict(bbox_head=dict(
    type='mmleuk.SparseRegionFCOSHead', num_classes=_base_.num_classes, loss_cls=dict(type='mmleuk.KnownFocalLoss')))
