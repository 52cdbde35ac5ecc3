"""SparseDet: the small Faster R-CNN on TXL-PBC's sparse labels at 320 px. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/sparse_det/sparse-det_r18_txl-pbc.py
"""

_base_ = '../faster_rcnn/faster-rcnn_r18_txl-pbc_sparse-as-complete.py'

model = dict(
    type='mmleuk.SparseDet',
    data_preprocessor=dict(type='mmleuk.WeakStrongDataPreprocessor'),
    rpn_head=dict(in_channels=128, feat_channels=128),
    mining_from=0.5)
