"""As narrow-resnet_synthetic-crops.py on 16,000 crops, 8 epochs: it tells the pairs of mmleuk counterfactuals apart.

All attributes are drawn at random: none follows from the cell's type, which is unknown.

mmleuk data crops "$MMLEUK_DATA/crops" --train 16000 --mixed 1
MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_synthetic-crops_16k.py
"""

_base_ = './narrow-resnet_synthetic-crops.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmleuk.PackCells'),
]))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=8, T_max=7, eta_min=0.00001, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=8, val_interval=4)
