"""SLA-Det with attributes: YOLOv5x on Sparse-LeukemiaAttri (LLD 5.2, Table 9 last row: mAP@50-95 29.0).

30 epochs, similarity in the first 10. The authors start from an AttriDet trained for 100 epochs on LeukemiaAttri: add
``--cfg-options load_from=work_dirs/yolov5x_attri_leukemia-attri/epoch_100.pth``.
"""

_base_ = './yolov5_sla.py'

model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector={{_base_.model}},
    attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia'),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.0,  # the papers' score takes attributes of any prediction
    on_ground_truth=True)

train_cfg = dict(max_epochs=30)
val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
    dict(type='mmleuk.AttributeF1Metric', mode='paper'),
]
test_evaluator = val_evaluator
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None), triplet_epochs=(1, 10)))
