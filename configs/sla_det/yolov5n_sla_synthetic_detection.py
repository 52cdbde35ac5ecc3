"""SLA-Det on rendered films at 320 px, a fifth of each training film annotated; detection only."""

_base_ = [
    '../_base_/models/sla-det_yolov5n.py',
    '../_base_/datasets/synthetic_320_sparse.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

# Class gain and test_cfg: as in configs/yolov5/yolov5n_synthetic.py.
model = dict(detector=dict(
    bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0),
    test_cfg=dict(score_thr=0.01, nms_pre=2000)))
# The paper starts from a trained detector. From random weights the terms wait for half of the epochs; L_Tri then runs
# for four fifths of the rest, as in the paper for 40 of 50 epochs.
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(6, None), triplet_epochs=(6, 9)))
