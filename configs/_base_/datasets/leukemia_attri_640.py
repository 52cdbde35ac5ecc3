"""LeukemiaAttri at 640 px, subset HCM_100x_C2, annotated by hand; the other subsets' files build on this."""

num_classes = 14
image_size = 640
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmleuk.MultiImageMixDataset',
        dataset=dict(
            type='mmleuk.LeukemiaAttriDataset',
            data_root='{{$MMLEUK_DATA:data}}/LeukemiaAttri/',
            subset='HCM_100x_C2',
            split='train',
            metainfo=dict(preset='leukemia_attri'),
            pipeline=[
                dict(type='mmleuk.LoadImage'),
                dict(type='mmleuk.LoadCellAnnotations'),
            ]),
        pipeline=[
            dict(type='mmleuk.MosaicAffine', img_scale=(640, 640)),
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
        data_root='{{$MMLEUK_DATA:data}}/LeukemiaAttri/',
        subset='HCM_100x_C2',
        split='test',
        metainfo=dict(preset='leukemia_attri'),
        annotation='complete',
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='Resize', scale=(640, 640), keep_ratio=True),
            dict(type='mmleuk.Pad', size=(640, 640), pad_val=dict(img=(114, 114, 114))),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='mmleuk.CocoMetric', metric='bbox', classwise=True,
         metric_items=('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', 'AR@100')),
]
test_evaluator = val_evaluator
