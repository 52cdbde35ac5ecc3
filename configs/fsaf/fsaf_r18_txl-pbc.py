"""FSAF on TXL-PBC at 320 px, completely annotated. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/fsaf/fsaf_r18_txl-pbc.py
"""

_base_ = [
    '../_base_/models/fsaf_r18.py',
    '../_base_/datasets/txl_pbc_320.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes))
