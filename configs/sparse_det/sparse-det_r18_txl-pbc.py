"""SparseDet: the small Faster R-CNN on TXL-PBC's sparse labels at 320 px. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/sparse_det/sparse-det_r18_txl-pbc.py
"""

_base_ = [
    '../_base_/models/sparse-det_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))
