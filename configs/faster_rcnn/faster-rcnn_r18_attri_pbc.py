"""AttriDet: Faster R-CNN on PBC with WBCAtt's 11 attributes, 320 px, completely annotated. 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/faster_rcnn/faster-rcnn_r18_attri_pbc.py
"""

_base_ = [
    '../_base_/models/attri-det_faster-rcnn_r18.py',
    '../_base_/datasets/pbc_320.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(detector=dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes))))
val_evaluator = [*_base_.val_evaluator, *_base_.attribute_scores]
test_evaluator = val_evaluator
