"""wbc_seg (Zheng et al. 2018) at 160 px: nucleus and cytoplasm of single cells, in two stains (d1_, d2_)."""

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.CellMaskDataset',
        data_root='{{$MMLEUK_DATA:data}}/wbc_seg/',
        data_prefix=dict(img='train/', mask='train/'),
        mask_suffix='_mask.png',
        metainfo=dict(classes=('other', 'cytoplasm', 'nucleus')),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadPartMask', parts=('other', 'cytoplasm', 'nucleus')),
            dict(type='mmseg.RandomResize', scale=(160, 160), ratio_range=(0.75, 1.35)),
            dict(type='mmseg.RandomCrop', crop_size=(160, 160)),
            dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='mmseg.RandomRotate', prob=0.5, degree=45, pad_val=(114, 114, 114), seg_pad_val=255),
            dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.25),
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
        data_root='{{$MMLEUK_DATA:data}}/wbc_seg/',
        data_prefix=dict(img='val/', mask='val/'),
        mask_suffix='_mask.png',
        metainfo=dict(classes=('other', 'cytoplasm', 'nucleus')),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(160, 160)),
            dict(type='mmleuk.LoadPartMask', parts=('other', 'cytoplasm', 'nucleus')),
            dict(type='mmseg.PackSegInputs'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmleuk.PartMetric', groups=r'^(d[12])_')]
test_evaluator = val_evaluator
