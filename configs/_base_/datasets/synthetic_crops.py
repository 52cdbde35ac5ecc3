"""Rendered crops of single cells at 96 px (``mmleuk data crops``): 13 types; 7 attributes, one of them the type."""

crop_margin = 0.15  # beyond the cell's box; mmleuk explain cuts the cells of films in the same way
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.CellCropDataset',
        data_root='{{$MMLEUK_DATA:data}}/crops/',
        ann_file='train.csv',
        data_prefix=dict(img='images/train/'),
        metainfo=dict(preset='synthetic_crops'),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='mmleuk.PackCells'),
        ]))
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmleuk.CellCropDataset',
        test_mode=True,
        data_root='{{$MMLEUK_DATA:data}}/crops/',
        ann_file='test.csv',
        data_prefix=dict(img='images/test/'),
        metainfo=dict(preset='synthetic_crops'),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(96, 96)),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes', binary='macro', prefix='attribute_crops')]
test_evaluator = val_evaluator
