"""WBCAtt's labelled crops, and cells of LeukemiaAttri at 40x without labels: 64 + 32 per batch of 96.

Tested on the types of LeukemiaAttri's cells that WBCAtt has, too, from other patients than those in training.
"""

_base_ = './wbcatt_crops.py'

theirs = dict(data_root='{{$MMLEUK_DATA:data}}/lld/40x/', data_prefix=dict(img='images/'),
              metainfo=dict(preset='wbcatt_crops'))
train_dataloader = dict(
    batch_size=96,
    sampler=dict(_delete_=True, type='mmleuk.EpochMultiSourceSampler', batch_size=96, source_ratio=[2, 1]),
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[
        dict(type='mmleuk.CellCropDataset', data_root='{{$MMLEUK_DATA:data}}/wbcatt/', ann_file='train.csv',
             data_prefix=dict(img='images/train/'), metainfo=dict(preset='wbcatt_crops'), pipeline=[
                 dict(type='mmleuk.LoadImage'),
                 dict(type='mmleuk.LoadCellAnnotations'),
                 dict(type='mmleuk.CenterCrop', crop_size=(144, 144)),
                 dict(type='RandomCrop', crop_size=(136, 136)),
                 dict(type='Resize', scale=(64, 64)),
                 dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
                 dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
                 dict(type='mmleuk.PackCells')]),
        dict(type='mmleuk.UnlabelledCrops', domain='LeukemiaAttri', ann_file='annotations/train.json', **theirs,
             pipeline=[
                 dict(type='mmleuk.LoadImage'),
                 dict(type='mmleuk.LoadCellAnnotations'),
                 dict(type='mmleuk.CropCell', size=64, margin=0.45),
                 dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
                 dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
                 dict(type='mmleuk.PackCells')]),
    ]))
val_dataloader = dict(dataset=dict(
    _delete_=True, type='mmleuk.CellCropDataset', test_mode=True, only_types=True, ann_file='annotations/val.json',
    **theirs, pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.CropCell', size=64, margin=0.45),
        dict(type='mmleuk.PackCells')]))
test_dataloader = val_dataloader
