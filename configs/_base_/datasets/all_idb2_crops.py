"""ALL-IDB2 (Labati et al. 2011), single-cell images with the class in their names (Im001_1.tif), 64 px: 2 types.

The names carry no patient, so images of one person can be in two parts.
"""

_base_ = './wbcatt_crops.py'

images = dict(
    data_root='{{$MMLEUK_DATA:data}}/ALL_IDB2/img/',
    ann_file='',
    data_prefix=dict(img=''),
    metainfo=dict(preset='all_idb2'),
    class_pattern=r'_([01])\.',
    class_names={'0': 'Healthy cell', '1': 'Lymphoblast'})
parts = dict(train=0.7, val=0.1, test=0.2)
train_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='train')))
val_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='val')))
test_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='test')))
