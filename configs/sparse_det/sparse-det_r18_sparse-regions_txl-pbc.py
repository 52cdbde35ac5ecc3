"""SparseDet that uses the annotated regions: background is sampled only inside the regions."""

_base_ = [
    '../_base_/models/sparse-det_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)),
    train_cfg=dict(
        rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
        rpn_proposal=dict(nms_pre=500, max_per_img=500),  # most lie outside the regions
        rcnn=dict(sampler=dict(type='mmleuk.SparseRegionSampler'))))
