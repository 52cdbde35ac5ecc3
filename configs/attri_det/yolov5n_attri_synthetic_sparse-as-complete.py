"""AttriDet on rendered films, plain training on sparse labels: the naive row of ``make compare``."""

_base_ = [
    '../_base_/models/attri-det_yolov5n.py',
    '../_base_/datasets/synthetic_320_sparse.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

# Class gain and test_cfg: as in configs/yolov5/yolov5n_synthetic.py.
model = dict(
    detector=dict(
        bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0),
        test_cfg=dict(score_thr=0.01, nms_pre=2000)),
    # At 320 px a cell covers 6 to 16 locations of the first feature map: 24 x 30 bins would only cost time.
    attri_head=dict(attributes='leukemia', roi_output_size=(16, 16)))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
]
test_evaluator = val_evaluator
