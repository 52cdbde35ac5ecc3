"""YOLOv5n with pseudo-labels of its moving average, thresholds calibrated in the annotated regions.

A leaf sets classes and image size.
"""

_base_ = './yolov5n.py'

model = dict(
    _delete_=True,
    type='mmleuk.SparseLabelDetector',
    detector=dict(_base_.model, bbox_head=dict(_base_.model.bbox_head, truth='regions')),
    labeller=dict(type='mmleuk.CalibratedLabeller'),
    asks='teacher')
