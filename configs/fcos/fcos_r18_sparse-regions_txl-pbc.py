"""FCOS on TXL-PBC's sparse labels; background counts inside the regions alone.

MMLEUK_DATA=... python tools/train.py configs/fcos/fcos_r18_sparse-regions_txl-pbc.py
"""

_base_ = './fcos_r18_txl-pbc.py'

model = dict(bbox_head=dict(type='mmleuk.SparseRegionFCOSHead'))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
