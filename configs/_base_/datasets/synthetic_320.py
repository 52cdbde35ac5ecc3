"""Rendered blood films at 320 px (``mmleuk data synthesize``): 14 classes with attributes, complete."""

_base_ = './cells_320.py'

num_classes = 14
train_dataloader = dict(dataset=dict(
    dataset=dict(
        data_root='{{$MMLEUK_DATA:data}}/synthetic/',
        ann_file='annotations/train.json',
        metainfo=dict(preset='synthetic')),
    pipeline=[
        dict(type='Resize', scale=(320, 320), keep_ratio=True),
        dict(type='Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
        dict(type='mmleuk.RandomAffine', scaling_ratio_range=(0.75, 1.25)),
        dict(type='mmleuk.HSVJitter'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmleuk.PackCells'),
    ]))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/synthetic/', ann_file='annotations/test.json', metainfo=dict(preset='synthetic')))
test_dataloader = val_dataloader
val_evaluator = [dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/synthetic/annotations/test.json')]
test_evaluator = val_evaluator
