"""LR + PL with thresholds per class that are calibrated in the regions, from a detector that L_LR has trained.

YOLOv5n, PBC, 320 px. Ours, beside the paper's fixed thresholds.


MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_pbc_lr-pl-calibrated.py \
    --cfg-options load_from=LR.pth train_cfg.max_epochs=6 optim_wrapper.optimizer.lr=0.0005
"""

_base_ = [
    '../_base_/models/calibrated_yolov5n.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    labeller=dict(num_classes=_base_.num_classes))
default_hooks = dict(
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
