"""The finder's last 6 epochs, with weaker changes of colour: after the strong ones it takes dark red cells for WBC.

MMLEUK_DATA=... python tools/train.py configs/shipped/cell-finder_txl-pbc_finish.py \
    --cfg-options load_from=work_dirs/cell-finder_txl-pbc/epoch_40.pth
"""

_base_ = './cell-finder_txl-pbc.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.Mosaic', img_scale=(_base_.image_size, _base_.image_size), pad_val=114),
    dict(type='mmleuk.RandomAffine', max_translate_ratio=0.1, scaling_ratio_range=(0.6, 1.5), max_shear_degree=5.0),
    dict(type='mmleuk.HSVJitter'),
    dict(type='mmleuk.LoseResolution', factor_range=(0.35, 1.0), prob=0.3),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmleuk.PackCells'),
]))
optim_wrapper = dict(optimizer=dict(lr=0.001))
train_cfg = dict(max_epochs=6, val_interval=6)
