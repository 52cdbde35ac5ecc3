"""The shipped model's second part: type and 11 attributes of a leukocyte, from a window of 112 px around its centre.

Trained on WBCAtt's images as they are (176 px, red cells about 39 px wide), so a film has to be at that scale. Type
'other' is learnt from the immature cells of PBC, the data set of WBCAtt's images, which have a type but no attributes:
promyelocytes, myelocytes, metamyelocytes and erythroblasts, which their file names tell. 16 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/shipped/cell-reader_wbcatt.py
"""

_base_ = ['../_base_/datasets/wbcatt_crops.py', '../_base_/default_runtime.py']

metainfo = dict(preset='wbcatt_crops_other')
other = 'Other leukocyte'
window = 112
epochs = 16

model = dict(
    type='mmleuk.AttributeRecognizer',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
    attributes='wbcatt_crops_other',
    crop_size=window)

pipeline = [
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='Resize', scale=(176, 176)),
    dict(type='mmleuk.RandomAffine', max_rotate_degree=180.0, max_translate_ratio=0.06,
         scaling_ratio_range=(0.87, 1.15), max_shear_degree=3.0, border=(-32, -32)),
    dict(type='mmleuk.HSVJitter', hue=0.02, saturation=0.3, value=0.2),
    dict(type='mmleuk.ColorJitter', brightness=0.1, contrast=0.2, saturation=0.1, hue=0.01, prob=0.5),
    dict(type='mmleuk.LoseResolution', factor_range=(0.5, 1.0), prob=0.4),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmleuk.PackCells'),
]
train_dataloader = dict(dataset=dict(
    _delete_=True,
    type='ConcatDataset',
    datasets=[
        dict(type='mmleuk.CellCropDataset', data_root='{{$MMLEUK_DATA:data}}/wbcatt/', ann_file='train.csv',
             data_prefix=dict(img='images/train/'), metainfo=metainfo, pipeline=pipeline),
        dict(type='mmleuk.CellCropDataset', data_root='{{$MMLEUK_DATA:data}}/pbc/',
             data_prefix=dict(img='images/train/'), metainfo=metainfo, class_pattern='^([A-Z]+)_',
             class_names=dict(ERB=other, MMY=other, MY=other, PMY=other), pipeline=pipeline),
    ]))
val_dataloader = dict(dataset=dict(metainfo=metainfo, pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='Resize', scale=(176, 176)),
    dict(type='CenterCrop', crop_size=window),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.PackCells'),
]))
test_dataloader = val_dataloader

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.003, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=epochs, T_max=epochs - 1, eta_min=0.00001, convert_to_iter_based=True),
]
custom_hooks = []
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
