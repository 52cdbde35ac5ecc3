"""The demo: SLA-Det with attributes, YOLOv5n on rendered films at 320 px, a fifth of each training film annotated.

make demo, or: mmleuk data synthesize data/synthetic && python tools/train.py configs/sla_det/yolov5n_sla_synthetic.py
"""

_base_ = [
    '../_base_/models/sla-det_yolov5n.py',
    '../_base_/datasets/synthetic_320_sparse.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

# Class gain and test_cfg: as in configs/yolov5/yolov5n_synthetic.py.
model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector=dict(
        _base_.model,
        detector=dict(
            _base_.model.detector,
            bbox_head=dict(
                _base_.model.detector.bbox_head, num_classes=_base_.num_classes, image_size=_base_.image_size,
                gain_class=3.0),
            test_cfg=dict(_base_.model.detector.test_cfg, score_thr=0.01, nms_pre=2000))),
    # At 320 px a cell covers 6 to 16 locations of the first feature map: 24 x 30 bins would only cost time.
    attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia', roi_output_size=(16, 16)),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.05,
    on_ground_truth=True)
# The paper starts from a trained detector. From random weights the terms wait for half of the epochs. With attributes
# the paper runs the similarity loss for 10 of 30 epochs, for detection only 40 of 50 (LLD 5.2).
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(6, None), triplet_epochs=(6, 7)))

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
]
test_evaluator = val_evaluator
