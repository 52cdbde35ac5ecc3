"""Baseline: YOLOv5n takes PBC's sparse labels for complete ones."""

_base_ = './yolov5n_pbc.py'

train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='complete')))
