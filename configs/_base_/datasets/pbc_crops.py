"""PBC's single-cell images (Acevedo et al. 2020) in their eight folders, 64 px: 8 types.

The names carry no patient, so images of one person can be in two parts.
"""

_base_ = './wbcatt_crops.py'

images = dict(
    data_root='{{$MMLEUK_DATA:data}}/PBC_dataset_normal_DIB/',
    ann_file='',
    data_prefix=dict(img=''),
    metainfo=dict(preset='pbc_crops'),
    class_names=dict(basophil='Basophil', eosinophil='Eosinophil', erythroblast='Erythroblast',
        ig='Immature granulocyte', lymphocyte='Lymphocyte', monocyte='Monocyte', neutrophil='Neutrophil',
        platelet='Platelet'))
parts = dict(train=0.7, val=0.1, test=0.2)
train_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='train')))
val_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='val')))
test_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='test')))
