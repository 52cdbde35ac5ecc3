"""PBC and LeukemiaAttri at 40x in pairs, 320 px, leukocytes as one class: the first with labels, the second without.

Images of PBC are composed as in ``pbc_to_lld_320_source.py``.
"""

_base_ = './cells_320.py'

num_classes = 1
train_dataloader = dict(batch_size=8, dataset=dict(
    _delete_=True,
    type='mmleuk.SourceTargetDataset',
    dataset=dict(
        type='mmleuk.MultiImageMixDataset',
        dataset=dict(
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
                pipeline=[
                    dict(type='mmleuk.Mosaic', img_scale=(80, 130), center_ratio_range=(1.0, 1.0), pad_val=114.0),
                ]),
            pipeline=[dict(type='mmleuk.Mosaic', img_scale=(160, 260), center_ratio_range=(1.0, 1.0), pad_val=114.0)]),
        pipeline=[
            dict(type='RandomCrop', crop_size=(320, 320), allow_negative_crop=True),
            dict(type='mmleuk.RandomAffine'),
            dict(type='mmleuk.HSVJitter'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='mmleuk.PackCells'),
        ]),
    target=dict(
        _base_.train_dataloader.dataset,
        dataset=dict(
            _base_.train_dataloader.dataset.dataset,
            data_root='{{$MMLEUK_DATA:data}}/lld/40x/',
            ann_file='annotations/train.json',
            annotation='hidden',
            metainfo=dict(classes=('WBC',))))))
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
