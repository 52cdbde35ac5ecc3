"""A concept bottleneck beside a trained YOLOv5n. A leaf names the detector's checkpoint and the attributes."""

_base_ = './yolov5n.py'

model = dict(
    _delete_=True,
    type='mmleuk.PostHocCBM',
    detector={{_base_.model}},
    bottleneck=dict(type='mmleuk.ConceptBottleneck'),
    min_score=0.05,
    on_ground_truth=True)
