"""Rendered cells with exact masks at 64 px: one cell per film, with the six attributes of LeukemiaAttri.

mmleuk data synthesize "$MMLEUK_DATA/synthetic_cells" --masks --size 160 --cells 1 1 \\
    --empty-share 0 --train 2000 --test 500
"""

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.CellCropDataset',
        data_root='{{$MMLEUK_DATA:data}}/synthetic_cells/',
        ann_file='annotations/train.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(preset='synthetic'),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.LoadPartMask', folder='{{$MMLEUK_DATA:data}}/synthetic_cells/masks'),
            dict(type='mmleuk.CropCell', size=64),
            dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
            dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='mmleuk.PackCells'),
        ]))
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmleuk.CellCropDataset',
        test_mode=True,
        data_root='{{$MMLEUK_DATA:data}}/synthetic_cells/',
        ann_file='annotations/test.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(preset='synthetic'),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.LoadPartMask', folder='{{$MMLEUK_DATA:data}}/synthetic_cells/masks'),
            dict(type='mmleuk.CropCell', size=64),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmleuk.CropAttributeMetric')]
test_evaluator = val_evaluator
