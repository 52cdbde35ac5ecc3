"""SparseDet with the release's amounts: 1,000 proposals and 256 RoIs per image in training, half of them positive.

MMLEUK_DATA=... python tools/train.py configs/sparse_det/sparse-det_r18_txl-pbc_1000-proposals.py
"""

_base_ = [
    '../_base_/models/sparse-det_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=1000, max_per_img=1000),
        rcnn=dict(sampler=dict(num=256, pos_fraction=0.5))))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))
