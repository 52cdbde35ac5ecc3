"""Double-Head Faster R-CNN on rendered films at 320 px, completely annotated.

mmleuk data synthesize data/synthetic && python tools/train.py configs/double_head/double-head_r18_synthetic.py
"""

_base_ = [
    '../_base_/models/double-head_r18.py',
    '../_base_/datasets/synthetic_320.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
