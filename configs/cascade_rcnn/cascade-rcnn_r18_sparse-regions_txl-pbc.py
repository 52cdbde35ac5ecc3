"""Cascade R-CNN on TXL-PBC's sparse labels; background is sampled inside the regions alone.

MMLEUK_DATA=... python tools/train.py configs/cascade_rcnn/cascade-rcnn_r18_sparse-regions_txl-pbc.py
"""

_base_ = './cascade-rcnn_r18_txl-pbc.py'

model = dict(train_cfg=dict(
    rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
    rpn_proposal=dict(nms_pre=500, max_per_img=500),  # most lie outside the regions
    rcnn=[dict(stage, sampler=dict(stage['sampler'], type='mmleuk.SparseRegionSampler'))
          for stage in _base_.model.train_cfg.rcnn]))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
