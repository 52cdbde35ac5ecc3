"""SLA-Det+ with pseudo-labels of the moving average, trusted as far as the annotated regions show. YOLOv5n, TXL-PBC.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus-teacher_txl-pbc.py
"""

_base_ = '../yolov5/yolov5n_txl-pbc.py'

model = dict(type='mmleuk.SLADetPlus', bbox_head=dict(truth='regions'))
train_dataloader = dict(dataset=dict(
    dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse'),
    pipeline=[
        dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0),
        *_base_.train_dataloader.dataset.pipeline,
    ]))
default_hooks = dict(
    skip_transforms=dict(
        type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=11, keep=0.5),
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
