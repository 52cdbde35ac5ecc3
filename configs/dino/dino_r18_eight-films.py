"""DINO overfits eight rendered films: 150 iterations on a CPU.

mmleuk data synthesize data/eight/synthetic --train 8 --test 1
MMLEUK_DATA=data/eight python tools/train.py configs/dino/dino_r18_eight-films.py
"""

_base_ = [
    '../_base_/models/dino_r18.py',
    '../_base_/datasets/eight_films_320.py',
    '../_base_/schedules/short_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(optimizer=dict(lr=0.0005), clip_grad=dict(max_norm=1.0))
train_cfg = dict(max_epochs=15, val_interval=15)
