"""Ablation: labelled regions and pseudo-labels, from a detector that L_LR has trained. YOLOv5n, PBC, 320 px.


MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_pbc_lr-pl.py \
    --cfg-options load_from=LR.pth train_cfg.max_epochs=6 optim_wrapper.optimizer.lr=0.0005
"""

_base_ = [
    '../_base_/models/sla-det_yolov5n.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    loss_triplet=None)
# As in the paper the terms start on a trained detector, and L_Tri runs for four fifths of the epochs.
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None), triplet_epochs=(1, 5)))
