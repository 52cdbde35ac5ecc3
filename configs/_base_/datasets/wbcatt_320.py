"""TXL-PBC's PBC images at 320 px: 5 leukocyte types, RBC, platelets, WBCAtt's 11 attributes."""

_base_ = './cells_320.py'

num_classes = 7
train_dataloader = dict(dataset=dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/txl_pbc/',
    ann_file='annotations/attri_train.json',
    metainfo=dict(preset='wbcatt'))))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/txl_pbc/', ann_file='annotations/attri_val.json', metainfo=dict(preset='wbcatt')))
test_dataloader = val_dataloader
val_evaluator = [dict(_base_.val_evaluator[0], ann_file='{{$MMLEUK_DATA:data}}/txl_pbc/annotations/attri_val.json')]
test_evaluator = val_evaluator
