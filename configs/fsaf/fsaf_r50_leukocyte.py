"""FSAF on leukocytes at 600 px, 16 epochs. Paper: mAP .742, mAP@50 .874, from COCO weights.

python tools/train.py configs/fsaf/fsaf_r50_leukocyte.py
"""

_base_ = [
    '../_base_/models/fsaf_r50.py',
    '../_base_/datasets/leukocyte_600.py',
    '../_base_/schedules/leukocyte.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes))
