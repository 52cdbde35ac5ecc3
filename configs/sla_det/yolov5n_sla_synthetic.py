"""The demo: SLA-Det with attributes, YOLOv5n on rendered films at 320 px, a fifth of each training film annotated.

make demo, or: mmleuk data synthesize data/synthetic && python tools/train.py configs/sla_det/yolov5n_sla_synthetic.py
"""

_base_ = './yolov5n_sla_synthetic_detection.py'

model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector={{_base_.model}},
    # At 320 px a cell covers 6 to 16 places of the first feature map: 24 x 30 bins would only cost time.
    attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia', roi_output_size=(16, 16)),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.05,
    on_ground_truth=True)

# With attributes the paper runs the similarity loss for 10 of 30 epochs, for detection alone 40 of 50 (LLD 5.2).
default_hooks = dict(pseudo_labels=dict(triplet_epochs=(6, 7)))

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
]
test_evaluator = val_evaluator
