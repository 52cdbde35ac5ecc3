"""Baseline: Faster R-CNN takes TXL-PBC's sparse labels for complete ones."""

_base_ = './faster-rcnn_r18_txl-pbc.py'

train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='complete')))
