"""The finder's last 10 epochs, with changes of stains instead of strong ones of colours: after those it takes dark red
cells for WBC, and granulocytes for red cells.

MMLEUK_DATA=... python tools/train.py configs/shipped/cell-finder_txl-pbc_finish.py \
    --cfg-options load_from=work_dirs/cell-finder_txl-pbc/epoch_40.pth
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

# TXL-PBC's images are 360 to 640 px wide, with red cells of 0.17 to 0.24 of that: 32 to 45 px at a width of 192 px.
image_size = 192
model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=2 * image_size))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.Mosaic', img_scale=(image_size, image_size), pad_val=114),
    dict(type='mmleuk.RandomAffine', max_translate_ratio=0.1, scaling_ratio_range=(0.6, 1.5), max_shear_degree=5.0),
    dict(type='mmleuk.HSVJitter'),
    dict(type='mmleuk.StainJitter', factor=0.5, offset=0.05, light=0.08),
    dict(type='mmleuk.LoseResolution', factor_range=(0.35, 1.0), prob=0.3),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmleuk.PackCells'),
]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='Resize', scale=(image_size, image_size), keep_ratio=True),
    dict(type='mmleuk.Pad', size=(image_size, image_size), pad_val=dict(img=(114, 114, 114))),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.PackCells'),
]))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.002))
train_cfg = dict(max_epochs=10, val_interval=10)
