"""Co-mining on YOLOv5n: pseudo-labels of the other view. A leaf sets classes, image size and the lowest score."""

_base_ = './yolov5n.py'

model = dict(
    _delete_=True,
    type='mmleuk.CoMining',
    detector={{_base_.model}},
    labeller=dict(type='mmleuk.OtherViewLabeller'))
