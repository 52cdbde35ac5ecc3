"""AttriDet on YOLOv5n: attributes from the maps of its first two stages. A leaf names the attributes."""

_base_ = './yolov5n.py'

model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector={{_base_.model}},
    attri_head=dict(type='mmleuk.AttriHead'),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.05,
    on_ground_truth=True)
