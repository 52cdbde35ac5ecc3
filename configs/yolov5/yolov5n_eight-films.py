"""YOLOv5n overfits eight rendered films: 300 iterations on a CPU.

mmleuk data synthesize data/eight/synthetic --train 8 --test 1
MMLEUK_DATA=data/eight python tools/train.py configs/yolov5/yolov5n_eight-films.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/eight_films_320.py',
    '../_base_/schedules/short_30e.py',
    '../_base_/default_runtime.py',
]

# The class gain is for fourteen classes, as in yolov5n_synthetic.py.
model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0))
