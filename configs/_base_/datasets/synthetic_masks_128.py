"""Rendered films of one cell each at 128 px, with exact masks of all six parts.

mmleuk data synthesize "$MMLEUK_DATA/synthetic_cells" --masks --size 160 --cells 1 1 \\
    --empty-share 0 --train 2000 --test 500
"""

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.CellMaskDataset',
        data_root='{{$MMLEUK_DATA:data}}/synthetic_cells/',
        data_prefix=dict(img='images/train/', mask='masks/train/'),
        metainfo=dict(classes=('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole')),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadPartMask'),
            dict(type='mmseg.RandomResize', scale=(128, 128), ratio_range=(0.75, 1.35)),
            dict(type='mmseg.RandomCrop', crop_size=(128, 128)),
            dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='mmseg.RandomRotate', prob=0.5, degree=45, pad_val=(114, 114, 114), seg_pad_val=255),
            dict(type='mmleuk.HSVJitter', hue=0.05, saturation=0.4, value=0.25),
            dict(type='mmseg.PackSegInputs'),
        ]))
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmleuk.CellMaskDataset',
        test_mode=True,
        data_root='{{$MMLEUK_DATA:data}}/synthetic_cells/',
        data_prefix=dict(img='images/test/', mask='masks/test/'),
        metainfo=dict(classes=('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole')),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(128, 128)),
            dict(type='mmleuk.LoadPartMask'),
            dict(type='mmseg.PackSegInputs'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmleuk.PartMetric')]
test_evaluator = val_evaluator
