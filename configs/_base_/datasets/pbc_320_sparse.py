"""PBC at 320 px: a fifth of each training image is annotated, validation images completely."""

_base_ = './cells_320.py'

num_classes = 12
train_dataloader = dict(dataset=dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/pbc/',
    ann_file='annotations/train_sparse.json',
    annotation='sparse',
    metainfo=dict(preset='pbc'))))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/pbc/', ann_file='annotations/val.json', metainfo=dict(preset='pbc')))
test_dataloader = val_dataloader
val_evaluator = [dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/pbc/annotations/val.json')]
test_evaluator = val_evaluator
