"""``wbcatt_crops_center.py`` with a predicted mask beside each image.

mmleuk segment "$MMLEUK_DATA/wbcatt/images/train" CONFIG WEIGHTS --out "$MMLEUK_DATA/wbcatt_parts/train"
mmleuk segment "$MMLEUK_DATA/wbcatt/images/val" CONFIG WEIGHTS --out "$MMLEUK_DATA/wbcatt_parts/val"
"""

_base_ = './wbcatt_crops.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.LoadPartMask', folder='{{$MMLEUK_DATA:data}}/wbcatt_parts/train/masks'),
    dict(type='mmleuk.CenterCrop', crop_size=(144, 144)),
    dict(type='RandomCrop', crop_size=(136, 136)),
    dict(type='Resize', scale=(64, 64)),
    dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmleuk.PackCells')]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadPartMask', folder='{{$MMLEUK_DATA:data}}/wbcatt_parts/val/masks'),
    dict(type='mmleuk.CenterCrop', crop_size=(136, 136)),
    dict(type='Resize', scale=(64, 64)),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.PackCells')]))
test_dataloader = val_dataloader
