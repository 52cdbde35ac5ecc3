"""``wbcatt_crops_224.py`` on WBCAtt+'s images with its masks (MMLEUK_DATA/wbcatt_plus, see ``wbcatt_plus_352.py``)."""

_base_ = './wbcatt_crops.py'

train_dataloader = dict(
    batch_size=96,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        data_root='{{$MMLEUK_DATA:data}}/wbcatt_plus/',
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.LoadPartMask', folder='{{$MMLEUK_DATA:data}}/wbcatt_plus/masks/train'),
            dict(type='mmleuk.CenterCrop', crop_type='relative', crop_size=(5 / 6, 5 / 6)),
            dict(type='Resize', scale=(256, 256)),
            dict(type='RandomCrop', crop_size=(224, 224)),
            dict(type='mmleuk.PackCells'),
        ]))
val_dataloader = dict(
    batch_size=96,
    dataset=dict(
        data_root='{{$MMLEUK_DATA:data}}/wbcatt_plus/',
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadPartMask', folder='{{$MMLEUK_DATA:data}}/wbcatt_plus/masks/val'),
            dict(type='mmleuk.CenterCrop', crop_type='relative', crop_size=(5 / 6, 5 / 6)),
            dict(type='Resize', scale=(256, 256)),
            dict(type='mmleuk.CenterCrop', crop_size=(224, 224)),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
