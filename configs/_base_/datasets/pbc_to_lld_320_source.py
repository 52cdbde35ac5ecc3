"""PBC and LeukemiaAttri at 40x, 320 px, leukocytes as one class: trained on the first, tested on the second.

Red cells have 62 x 62 px in a whole image of PBC, 15 x 27 px in one of LeukemiaAttri (medians), which was squeezed.
So a training image is cut from 4 x 4 images of PBC, each scaled to 80 x 130 px: there red cells have 16 x 25 px.
"""

_base_ = './cells_320.py'

num_classes = 1
train_dataloader = dict(batch_size=8, dataset=dict(
    dataset=dict(
        _delete_=True,
        type='mmleuk.MultiImageMixDataset',
        dataset=dict(
            type='mmleuk.MultiImageMixDataset',
            dataset=dict(
                type='mmleuk.CellDataset',
                data_root='{{$MMLEUK_DATA:data}}/pbc/',
                ann_file='annotations/train.json',
                data_prefix=dict(img='images/'),
                annotation='complete',
                indices=list(range(0, 2400, 4)),
                metainfo=dict(classes=('WBC',)),
                relabel={
                    'Basophil': 'WBC', 'Band neutrophil': 'WBC', 'Segmented neutrophil': 'WBC', 'Eosinophil': 'WBC',
                    'Erythroblast': 'WBC', 'Lymphocyte': 'WBC', 'Monocyte': 'WBC', 'Myelocyte': 'WBC',
                    'Metamyelocyte': 'WBC', 'Promyelocyte': 'WBC', 'Platelet': None, 'RBC': None},
                pipeline=[
                    dict(type='mmleuk.LoadImage'),
                    dict(type='mmleuk.LoadCellAnnotations'),
                    dict(type='Resize', scale=(80, 130), keep_ratio=False),
                ]),
            pipeline=[dict(type='mmleuk.Mosaic', img_scale=(80, 130), center_ratio_range=(1.0, 1.0), pad_val=114.0)]),
        pipeline=[dict(type='mmleuk.Mosaic', img_scale=(160, 260), center_ratio_range=(1.0, 1.0), pad_val=114.0)]),
    pipeline=[
        dict(type='RandomCrop', crop_size=(320, 320), allow_negative_crop=True),
        dict(type='mmleuk.RandomAffine'),
        dict(type='mmleuk.HSVJitter'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmleuk.PackCells'),
    ]))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/lld/40x/',
    ann_file='annotations/val.json',
    metainfo=dict(classes=('WBC',)),
    relabel={
        'None': None, 'Myeloblast': 'WBC', 'Lymphoblast': 'WBC', 'Neutrophil': 'WBC', 'Atypical lymphocyte': 'WBC',
        'Promonocyte': 'WBC', 'Monoblast': 'WBC', 'Lymphocyte': 'WBC', 'Myelocyte': 'WBC',
        'Abnormal promyelocyte': 'WBC', 'Monocyte': 'WBC', 'Metamyelocyte': 'WBC', 'Eosinophil': 'WBC',
        'Basophil': 'WBC'}))
test_dataloader = val_dataloader
