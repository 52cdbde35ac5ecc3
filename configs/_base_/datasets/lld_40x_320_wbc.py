"""LeukemiaAttri at 40x and 320 px by patient, all types of leukocytes as one class.

Without patient 24 and without class None, see ``lld_40x_320.py``.
"""

_base_ = './cells_320.py'

num_classes = 1
train_dataloader = dict(dataset=dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/lld/40x/',
    ann_file='annotations/train.json',
    leave_out=dict(patient=['24']),
    metainfo=dict(classes=('WBC',)),
    relabel={
        'None': None, 'Myeloblast': 'WBC', 'Lymphoblast': 'WBC', 'Neutrophil': 'WBC', 'Atypical lymphocyte': 'WBC',
        'Promonocyte': 'WBC', 'Monoblast': 'WBC', 'Lymphocyte': 'WBC', 'Myelocyte': 'WBC',
        'Abnormal promyelocyte': 'WBC', 'Monocyte': 'WBC', 'Metamyelocyte': 'WBC', 'Eosinophil': 'WBC',
        'Basophil': 'WBC'})))
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
