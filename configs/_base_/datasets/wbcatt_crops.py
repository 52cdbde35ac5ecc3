"""WBCAtt's single-cell images at 64 px: 5 leukocyte types; 12 attributes, one of them the type."""

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.CellCropDataset',
        data_root='{{$MMLEUK_DATA:data}}/wbcatt/',
        ann_file='train.csv',
        data_prefix=dict(img='images/train/'),
        metainfo=dict(preset='wbcatt_crops'),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='Resize', scale=(64, 64)),
            dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
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
        data_root='{{$MMLEUK_DATA:data}}/wbcatt/',
        ann_file='val.csv',
        data_prefix=dict(img='images/val/'),
        metainfo=dict(preset='wbcatt_crops'),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(64, 64)),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes', binary='macro', prefix='attribute_crops'),
    dict(type='mmleuk.CropAttributeMetric')]
test_evaluator = val_evaluator
