"""Grid R-CNN on leukocytes at 600 px, 16 epochs. Paper: mAP .822, mAP@50 .926, from COCO weights.

python tools/train.py configs/grid_rcnn/grid-rcnn_r50_leukocyte.py
"""

_base_ = [
    '../_base_/models/grid-rcnn_r50.py',
    '../_base_/datasets/leukocyte_600.py',
    '../_base_/schedules/leukocyte.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)),
    train_cfg=dict(  # no background under difficult cells; without any it is the RandomSampler
        rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
        rcnn=dict(sampler=dict(type='mmleuk.SparseRegionSampler'))))
