"""AttriDet with Faster R-CNN on PBC's sparse labels; in training 100 proposals per image, all from the regions.

MMLEUK_DATA=... python tools/train.py configs/faster_rcnn/faster-rcnn_r18_attri_region-proposals_pbc_100-proposals.py
"""

_base_ = [
    '../_base_/models/attri-det_faster-rcnn_r18.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(detector=dict(
    rpn_head=dict(type='mmleuk.SparseRegionRPNHead'),
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)),
    train_cfg=dict(
        rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')))))
val_evaluator = [*_base_.val_evaluator, *_base_.attribute_scores]
test_evaluator = val_evaluator
