"""WBCAtt+'s images and masks of six parts, the middle 352 px in training.

MMLEUK_DATA/wbcatt_plus: images/{train,val,test} and masks/{train,val,test}, a PNG per image with values 0 to 5.
In testing the whole image counts, padded to a multiple of 32 px by the model.
"""

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.CellMaskDataset',
        data_root='{{$MMLEUK_DATA:data}}/wbcatt_plus/',
        data_prefix=dict(img='images/train/', mask='masks/train/'),
        metainfo=dict(classes=('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole')),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadPartMask'),
            dict(type='CenterCrop', crop_size=(352, 352)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmseg.PackSegInputs'),
        ]))
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmleuk.CellMaskDataset',
        test_mode=True,
        data_root='{{$MMLEUK_DATA:data}}/wbcatt_plus/',
        data_prefix=dict(img='images/val/', mask='masks/val/'),
        metainfo=dict(classes=('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole')),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadPartMask'),
            dict(type='mmseg.PackSegInputs'),
        ]))
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmleuk.CellMaskDataset',
        test_mode=True,
        data_root='{{$MMLEUK_DATA:data}}/wbcatt_plus/',
        data_prefix=dict(img='images/test/', mask='masks/test/'),
        metainfo=dict(classes=('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole')),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadPartMask'),
            dict(type='mmseg.PackSegInputs'),
        ]))
val_evaluator = [dict(type='mmleuk.PartMetric')]
test_evaluator = val_evaluator
