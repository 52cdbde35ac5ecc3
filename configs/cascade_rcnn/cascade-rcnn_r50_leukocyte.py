"""Cascade R-CNN on leukocytes at 600 px, 16 epochs. Paper: mAP .856, mAP@50 .948, from COCO weights.

python tools/train.py configs/cascade_rcnn/cascade-rcnn_r50_leukocyte.py
"""

_base_ = [
    '../_base_/models/cascade-rcnn_r50.py',
    '../_base_/datasets/leukocyte_600.py',
    '../_base_/schedules/leukocyte.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=[dict(head, num_classes=_base_.num_classes) for head in _base_.model.roi_head.bbox_head]),
    train_cfg=dict(  # no background under difficult cells; without any it is the RandomSampler
        rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
        rcnn=[dict(stage, sampler=dict(stage['sampler'], type='mmleuk.SparseRegionSampler'))
              for stage in _base_.model.train_cfg.rcnn]))
