"""TXL-PBC at 320 px: WBC, RBC and platelets, completely annotated."""

_base_ = './cells_320.py'

num_classes = 3
train_dataloader = dict(dataset=dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/txl_pbc/',
    ann_file='annotations/train.json',
    metainfo=dict(preset='txl_pbc'))))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/txl_pbc/', ann_file='annotations/val.json', metainfo=dict(preset='txl_pbc')))
test_dataloader = val_dataloader
val_evaluator = [dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/txl_pbc/annotations/val.json')]
test_evaluator = val_evaluator
