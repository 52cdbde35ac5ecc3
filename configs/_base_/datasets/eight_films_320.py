"""Eight rendered films for training and testing: does a detector learn at all?

mmleuk data synthesize data/eight/synthetic --train 8 --test 1, then set MMLEUK_DATA=data/eight. An epoch shows each
film ten times, as it is or flipped.
"""

_base_ = './cells_320.py'

num_classes = 14
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='RepeatDataset',
            times=10,
            dataset=dict(
                _base_.train_dataloader.dataset.dataset,
                data_root='{{$MMLEUK_DATA:data}}/synthetic/',
                ann_file='annotations/train.json',
                metainfo=dict(preset='leukemia'))),
        pipeline=[
            dict(type='Resize', scale=(320, 320), keep_ratio=True),
            dict(type='Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmleuk.PackCells'),
        ]))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/synthetic/', ann_file='annotations/train.json', metainfo=dict(preset='leukemia')))
test_dataloader = val_dataloader
val_evaluator = [dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/synthetic/annotations/train.json')]
test_evaluator = val_evaluator
