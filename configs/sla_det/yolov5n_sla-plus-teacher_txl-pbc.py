"""SLA-Det+ with pseudo-labels of the moving average, calibrated in the annotated regions. YOLOv5n, TXL-PBC.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus-teacher_txl-pbc.py
"""

_base_ = [
    '../_base_/models/calibrated_yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(
        num_classes=_base_.num_classes, image_size=_base_.image_size, class_balance=0.5)),
    labeller=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0, whole_cells=True, oversample_thr=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'),
    skip_transforms=dict(
        type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=11, keep=0.5))
