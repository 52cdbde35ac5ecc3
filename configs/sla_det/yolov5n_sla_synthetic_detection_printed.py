"""Ablation: the similarity loss as Eq. 10 is printed, which contradicts the text. YOLOv5n, rendered films."""

_base_ = [
    '../_base_/models/sla-det_yolov5n.py',
    '../_base_/datasets/synthetic_320_sparse.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(  # as in configs/yolov5/yolov5n_synthetic.py
        bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0),
        test_cfg=dict(score_thr=0.01, nms_pre=2000)),
    loss_triplet=dict(reading='printed'))
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(6, None), triplet_epochs=(6, 9)))
