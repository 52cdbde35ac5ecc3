"""SparseDet that also knows where the annotation ends: background is sampled inside the regions alone."""

_base_ = '../faster_rcnn/faster-rcnn_r18_sparse-regions_txl-pbc.py'

model = dict(
    type='mmleuk.SparseDet',
    data_preprocessor=dict(type='mmleuk.WeakStrongDataPreprocessor'),
    rpn_head=dict(in_channels=128, feat_channels=128),
    mining_from=0.5)
