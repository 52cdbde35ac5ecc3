"""FSAF on TXL-PBC's sparse labels; background counts inside the regions alone.

MMLEUK_DATA=... python tools/train.py configs/fsaf/fsaf_r18_sparse-regions_txl-pbc.py
"""

_base_ = './fsaf_r18_txl-pbc.py'

model = dict(train_cfg=dict(
    sampler=dict(_delete_=True, type='mmleuk.SparseRegionSampler', sampler=dict(type='PseudoSampler'))))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
