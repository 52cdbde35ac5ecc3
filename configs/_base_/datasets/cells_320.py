"""Loaders of cell data at 320 px; a data set adds its paths and its classes.

No mosaic: these data sets are for short trainings on a CPU, where decoding four images per sample costs more than it
gains; ``leukemia_attri_640.py`` has it.
"""

image_size = 320
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.MultiImageMixDataset',
        dataset=dict(
            type='mmleuk.CellDataset',
            data_prefix=dict(img='images/'),
            annotation='complete',
            pipeline=[
                dict(type='mmleuk.LoadImage'),
                dict(type='mmleuk.LoadCellAnnotations'),
            ]),
        pipeline=[
            dict(type='Resize', scale=(320, 320), keep_ratio=True),
            dict(type='Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
            dict(type='mmleuk.RandomAffine'),
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
        type='mmleuk.CellDataset',
        test_mode=True,
        data_prefix=dict(img='images/'),
        annotation='complete',
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(320, 320), keep_ratio=True),
            dict(type='mmleuk.Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='mmleuk.CocoMetric',
        metric='bbox',
        classwise=True,
        metric_items=('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', 'AR@100')),
]
test_evaluator = val_evaluator
