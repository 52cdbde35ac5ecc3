"""PBC at 320 px, only a fifth of each training image annotated; tested on complete annotations."""

_base_ = './pbc_320.py'

train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
