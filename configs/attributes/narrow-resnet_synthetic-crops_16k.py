"""As narrow-resnet_synthetic-crops.py on 16,000 crops, 8 epochs: it tells the pairs of mmleuk counterfactuals apart.

All attributes are drawn at random: none follows from the cell's type, which is unknown.

mmleuk data crops "$MMLEUK_DATA/crops" --train 16000 --mixed 1
MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_synthetic-crops_16k.py
"""

_base_ = [
    '../_base_/models/quarter-resnet_crops.py',
    '../_base_/datasets/synthetic_crops.py',
    '../_base_/schedules/crops_cpu_8e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmleuk.PackCells'),
]))
train_cfg = dict(val_interval=4)
