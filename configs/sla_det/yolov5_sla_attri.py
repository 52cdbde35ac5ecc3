"""SLA-Det with attributes: YOLOv5x on Sparse-LeukemiaAttri (LLD 5.2, Table 9 last row: mAP@50-95 29.0).

30 epochs, similarity in the first 10. The authors start from an AttriDet trained for 100 epochs on LeukemiaAttri. To do
so, add ``--cfg-options load_from=work_dirs/yolov5x_attri_leukemia-attri/epoch_100.pth``.
"""

_base_ = [
    '../_base_/models/sla-det_yolov5x.py',
    '../_base_/datasets/sparse_leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector=dict(
        _base_.model,
        detector=dict(
            _base_.model.detector,
            bbox_head=dict(
                _base_.model.detector.bbox_head, num_classes=_base_.num_classes, image_size=_base_.image_size))),
    attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia'),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.0,  # the papers' score takes attributes of any prediction
    on_ground_truth=True)
train_cfg = dict(max_epochs=30)
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None), triplet_epochs=(1, 10)))

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
    dict(type='mmleuk.AttributeF1Metric', mode='paper'),
]
test_evaluator = val_evaluator
