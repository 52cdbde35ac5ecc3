"""Real LeukemiaAttri images at 40x and 640 px: 5 attributes, training and validation with different patients.

Few artifacts (class None) have a box, and some bare or unusual leukocytes have none. So recall can be measured, but the
measured precision is too low.
"""

_base_ = './leukemia_attri_640.py'

train_dataloader = dict(dataset=dict(dataset=dict(
    _delete_=True,
    type='mmleuk.CellDataset',
    data_root='{{$MMLEUK_DATA:data}}/lld/40x/',
    ann_file='annotations/train.json',
    data_prefix=dict(img='images/'),
    metainfo=dict(preset='lld_40x'),
    annotation='complete',
    name_pattern=r'^(?P<patient>\d+)_.*_(?P<diagnosis>[A-Z]+)$',
    pipeline=_base_.train_dataloader.dataset.dataset.pipeline)))
val_dataloader = dict(dataset=dict(
    _delete_=True,
    type='mmleuk.CellDataset',
    test_mode=True,
    data_root='{{$MMLEUK_DATA:data}}/lld/40x/',
    ann_file='annotations/val.json',
    data_prefix=dict(img='images/'),
    metainfo=dict(preset='lld_40x'),
    annotation='complete',
    name_pattern=r'^(?P<patient>\d+)_.*_(?P<diagnosis>[A-Z]+)$',
    pipeline=_base_.val_dataloader.dataset.pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/lld/40x/annotations/val.json')]
test_evaluator = val_evaluator
