"""AttriDet: YOLOv5n on rendered films at 320 px, completely annotated: the upper bound of ``make compare``."""

_base_ = '../yolov5/yolov5n_synthetic.py'

model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector={{_base_.model}},
    # At 320 px a cell covers 6 to 16 places of the first feature map: 24 x 30 bins would only cost time.
    attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia', roi_output_size=(16, 16)),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.05,
    on_ground_truth=True)

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
]
test_evaluator = val_evaluator
