"""Rendered blood films at 320 px (``mmleuk data synthesize``): 14 classes with attributes, complete.

No mosaic: these data sets are for short training on a CPU, where four decoded images per sample cost more than they
bring; ``leukemia_attri_640.py`` has it.
"""

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='mmleuk.LeukemiaAttriDataset',
            data_root='{{$MMLEUK_DATA:data}}/synthetic/',
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/'),
            annotation='complete',
            metainfo=dict(preset='leukemia'),
            pipeline=[
                dict(type='mmleuk.LoadImage'),
                dict(type='mmleuk.LoadCellAnnotations'),
            ]),
        pipeline=[
            dict(type='Resize', scale=(320, 320), keep_ratio=True),
            dict(type='Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
            dict(type='mmleuk.RandomAffine', scaling_ratio_range=(0.75, 1.25)),
            dict(type='mmleuk.HSVJitter'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmleuk.PackCells'),
        ]))
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmleuk.LeukemiaAttriDataset',
        test_mode=True,
        data_root='{{$MMLEUK_DATA:data}}/synthetic/',
        ann_file='annotations/test.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(preset='leukemia'),
        annotation='complete',
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(320, 320), keep_ratio=True),
            dict(type='Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmleuk.CocoMetric', ann_file='{{$MMLEUK_DATA:data}}/synthetic/annotations/test.json',
         metric='bbox', classwise=True),
]
test_evaluator = val_evaluator
