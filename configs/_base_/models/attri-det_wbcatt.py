"""WBCAtt's attributes for any detector: the AttriDet that a leaf puts its detector into, and its scores.

No whole model, so it goes with any detector's base: ``model = dict(_base_.attri_det, _delete_=True, detector=...)``.
The feature layers are those of a ResNet; a leaf with another backbone names its own.
"""

attri_det = dict(
    type='mmleuk.AttriDet',
    attri_head=dict(type='mmleuk.AttriHead', attributes='wbcatt'),
    feature_layers=('backbone.layer1', 'backbone.layer2'),
    min_score=0.05,
    on_ground_truth=True)

# WBCAtt's score: the mean over the values of an attribute, of binary ones too.
attribute_scores = [
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
]
