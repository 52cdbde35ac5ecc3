"""The shipped model's first part: YOLOv5n that finds WBC, RBC and platelets in a blood film, trained on TXL-PBC.

Red cells are about 39 pixels wide here (0.19 micrometres per pixel), as in WBCAtt's images; ``mmleuk infer`` measures
the red cells of a film and scales it to that. 40 epochs.

MMLEUK_DATA=... python tools/train.py configs/shipped/cell-finder_txl-pbc.py
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
    dict(type='mmleuk.HSVJitter', hue=0.04),
    dict(type='mmleuk.ColorJitter', brightness=0.25, contrast=0.4, saturation=0.3, hue=0.04, prob=0.5),
    dict(type='mmleuk.LoseResolution', factor_range=(0.35, 1.0), prob=0.5),
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
train_cfg = dict(max_epochs=40)
