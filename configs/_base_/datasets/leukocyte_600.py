"""Leukocytes under interference factors at 600 px (J Clin Trials 2022), in COCO form: 5 classes, completely annotated.

The data have no public address. Put the files under $MMLEUK_DATA/leukocyte: annotations/{train,test}.json, images/.
The classes are basophilic, eosinophilic and neutrophilic granulocytes, monocytes and lymphocytes.
"""

num_classes = 5
image_size = 600
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.MultiImageMixDataset',
        dataset=dict(
            type='mmleuk.CellDataset',
            data_root='{{$MMLEUK_DATA:data}}/leukocyte/',
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/'),
            metainfo=dict(preset='leukocyte'),
            annotation='complete',
            pipeline=[
                dict(type='mmleuk.LoadImage'),
                dict(type='mmleuk.LoadCellAnnotations'),
            ]),
        pipeline=[
            dict(type='Resize', scale=(600, 600), keep_ratio=True),
            dict(type='mmleuk.HSVJitter'),
            dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='mmleuk.PackCells'),
        ]))
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmleuk.CellDataset',
        test_mode=True,
        data_root='{{$MMLEUK_DATA:data}}/leukocyte/',
        ann_file='annotations/test.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(preset='leukocyte'),
        annotation='complete',
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(600, 600), keep_ratio=True),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='mmleuk.CocoMetric',
        ann_file='{{$MMLEUK_DATA:data}}/leukocyte/annotations/test.json',
        metric='bbox',
        classwise=True),
]
test_evaluator = val_evaluator
