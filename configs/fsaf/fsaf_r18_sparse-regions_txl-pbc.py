"""FSAF on TXL-PBC's sparse labels; background counts only inside the regions.

MMLEUK_DATA=... python tools/train.py configs/fsaf/fsaf_r18_sparse-regions_txl-pbc.py
"""

_base_ = [
    '../_base_/models/fsaf_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(num_classes=_base_.num_classes),
    train_cfg=dict(
        sampler=dict(_delete_=True, type='mmleuk.SparseRegionSampler', sampler=dict(type='PseudoSampler'))))
