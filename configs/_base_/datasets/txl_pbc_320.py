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
val_evaluator = [
    dict(
        type='mmleuk.CocoMetric',
        ann_file='{{$MMLEUK_DATA:data}}/txl_pbc/annotations/val.json',
        metric='bbox',
        classwise=True,
        metric_items=('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', 'AR@100')),
]
test_evaluator = val_evaluator
