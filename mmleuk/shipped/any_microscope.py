"""The resolved config of the shipped model, written by tools/ship_model.py."""

default_scope = 'mmdet'
film_colours = dict(
    glass=(
        203,
        228,
        255,
    ),
    largest_red=0.85,
    nuclei=(
        0.41,
        2.43,
        1.35,
    ),
    red_cells=(
        0.22,
        0.35,
        0.16,
    ))
min_scores = dict({
    'Basophil': 0.879,
    'Eosinophil': 0.879,
    'Lymphocyte': 0.879,
    'Monocyte': 0.879,
    'Neutrophil': 0.879,
    'Other leukocyte': 0.879,
    'Platelets': 0.347,
    'RBC': 0.873
})
model = dict(
    classes=(
        'Neutrophil',
        'Eosinophil',
        'Basophil',
        'Lymphocyte',
        'Monocyte',
        'Other leukocyte',
        'RBC',
        'Platelets',
    ),
    finder=dict(
        backbone=dict(
            deepen_factor=0.33,
            type='mmleuk.YOLOv5Backbone',
            widen_factor=0.25),
        bbox_head=dict(
            image_size=384,
            in_channels=[
                64,
                128,
                256,
            ],
            num_classes=3,
            type='mmleuk.YOLOv5Head'),
        data_preprocessor=dict(
            bgr_to_rgb=True,
            mean=[
                0.0,
                0.0,
                0.0,
            ],
            pad_size_divisor=32,
            pad_value=114,
            std=[
                255.0,
                255.0,
                255.0,
            ],
            type='DetDataPreprocessor'),
        neck=dict(
            deepen_factor=0.33,
            in_channels=[
                64,
                128,
                256,
            ],
            type='mmleuk.YOLOv5PAFPN'),
        test_cfg=dict(
            max_per_img=300,
            multi_label=True,
            nms=dict(iou_threshold=0.6, type='nms'),
            nms_pre=30000,
            score_thr=0.001),
        type='SingleStageDetector'),
    max_novelty=20.2,
    min_type_prob=0.665,
    reader=dict(
        attributes='wbcatt_crops_other',
        crop_size=112,
        data_preprocessor=dict(
            bgr_to_rgb=True,
            mean=[
                114.0,
                114.0,
                114.0,
            ],
            std=[
                64.0,
                64.0,
                64.0,
            ],
            type='DetDataPreprocessor'),
        type='mmleuk.AttributeRecognizer'),
    score_temperatures=[
        0.384,
        0.486,
        0.426,
    ],
    type='mmleuk.FindAndRead',
    type_temperature=0.861,
    unsure='Other leukocyte',
    window=112)
red_cell_diameter = 39
test_dataloader = dict(
    batch_size=8,
    dataset=dict(
        ann_file='',
        annotation='complete',
        data_prefix=dict(img='images/'),
        data_root='',
        metainfo=dict(
            classes=(
                'Neutrophil',
                'Eosinophil',
                'Basophil',
                'Lymphocyte',
                'Monocyte',
                'Other leukocyte',
                'RBC',
                'Platelets',
            ),
            described=(
                'Neutrophil',
                'Eosinophil',
                'Basophil',
                'Lymphocyte',
                'Monocyte',
                'Other leukocyte',
            ),
            leukocytes=(
                'Neutrophil',
                'Eosinophil',
                'Basophil',
                'Lymphocyte',
                'Monocyte',
                'Other leukocyte',
            ),
            preset='wbcatt_crops_other'),
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(keep_ratio=True, scale=(
                192,
                192,
            ), type='Resize'),
            dict(
                pad_val=dict(img=(
                    114,
                    114,
                    114,
                )),
                size=(
                    192,
                    192,
                ),
                type='mmleuk.Pad'),
            dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='mmleuk.PackCells'),
        ],
        test_mode=True,
        type='mmleuk.CellDataset'),
    drop_last=False,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(shuffle=False, type='DefaultSampler'))
