"""SLA-Det+ with attributes and a teacher checked by its attributes: YOLOv5n on PBC, 320 px, 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus-checked-teacher_pbc_attri.py
"""

_base_ = [
    '../_base_/models/calibrated_yolov5n.py',
    '../_base_/models/attri-det_wbcatt.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _base_.attri_det, _delete_=True, feature_layers=('backbone.stage1', 'backbone.stage2'),
    detector=dict(
        _base_.model,
        detector=dict(_base_.model.detector, bbox_head=dict(
            _base_.model.detector.bbox_head, num_classes=_base_.num_classes, image_size=_base_.image_size,
            class_balance=0.5)),
        labeller=dict(
            type='mmleuk.AttributeCheckLabeller', num_classes=_base_.num_classes, attributes='wbcatt',
            labeller=dict(  # at the default 0.95 only red cells become labels: README.md
                _base_.model.labeller, num_classes=_base_.num_classes, calibration=dict(precisions=(0.8, 0.9))))))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0, whole_cells=True, oversample_thr=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(8, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'),
    skip_transforms=dict(
        type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=8, keep=0.5))
val_evaluator = [*_base_.val_evaluator, *_base_.attribute_scores]
test_evaluator = val_evaluator
