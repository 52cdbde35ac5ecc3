"""SparseDet on the small Faster R-CNN: the RPN sees both views' features side by side."""

_base_ = './faster-rcnn_r18.py'

model = dict(
    type='mmleuk.SparseDet',
    data_preprocessor=dict(type='mmleuk.WeakStrongDataPreprocessor'),
    rpn_head=dict(in_channels=128, feat_channels=128),
    mining_from=0.5)
