"""SLA-Det+ with attributes: YOLOv5n on PBC's sparse labels, WBCAtt's 11 attributes, 320 px, 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus_pbc_attri.py
"""

_base_ = [
    '../_base_/models/attri-det_yolov5n.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(
        num_classes=_base_.num_classes, image_size=_base_.image_size, truth='regions', class_balance=0.5)),
    attri_head=dict(attributes='wbcatt'))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0, whole_cells=True, oversample_thr=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(skip_transforms=dict(
    type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=8, keep=0.5))

# WBCAtt's score: the mean over the values of an attribute, of binary ones too.
val_evaluator = [
    _base_.val_evaluator[0],
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
]
test_evaluator = val_evaluator
