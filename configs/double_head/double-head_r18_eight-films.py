"""Double-Head Faster R-CNN overfits eight rendered films: 300 iterations on a CPU.

mmleuk data synthesize data/eight/synthetic --train 8 --test 1
MMLEUK_DATA=data/eight python tools/train.py configs/double_head/double-head_r18_eight-films.py
"""

_base_ = [
    '../_base_/models/double-head_r18.py',
    '../_base_/datasets/eight_films_320.py',
    '../_base_/schedules/short_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
