"""SLA-Det on YOLOv5x: labelled regions, pseudo-labels, similarity. A leaf sets classes and image size."""

_base_ = './yolov5x.py'

model = dict(
    _delete_=True,
    type='mmleuk.SLADet',
    detector=dict(_base_.model, bbox_head=dict(_base_.model.bbox_head, truth='regions')),
    labeller=dict(type='mmleuk.ThresholdLabeller', min_confidence=0.70, sure_confidence=0.95, max_entropy=0.26),
    pseudo_weight=0.1,
    loss_triplet=dict(type='mmleuk.TripletLoss', margin=0.05, reading='text', loss_weight=0.1))
