"""AttriDet on rendered films, taking the sparse labels for complete ones: the naive row of ``make compare``."""

_base_ = './yolov5n_attri_synthetic.py'

train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='complete')))
