"""DINO on TXL-PBC's sparse labels; queries start, and background counts, only inside the regions.

MMLEUK_DATA=... python tools/train.py configs/dino/dino_r18_sparse-regions_txl-pbc.py
"""

_base_ = [
    '../_base_/models/dino_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmleuk.SparseRegionDINO',
    bbox_head=dict(type='mmleuk.SparseRegionDINOHead', num_classes=_base_.num_classes))
optim_wrapper = dict(optimizer=dict(lr=0.0005), clip_grad=dict(max_norm=1.0))
