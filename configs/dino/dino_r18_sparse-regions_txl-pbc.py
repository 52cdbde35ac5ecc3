"""DINO on TXL-PBC's sparse labels; background queries count inside the regions alone.

MMLEUK_DATA=... python tools/train.py configs/dino/dino_r18_sparse-regions_txl-pbc.py
"""

_base_ = './dino_r18_txl-pbc.py'

model = dict(bbox_head=dict(type='mmleuk.SparseRegionDINOHead'))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
