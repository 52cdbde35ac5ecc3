"""SLA-Det: YOLOv5n on TXL-PBC at 320 px, a fifth of each training image annotated. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_txl-pbc.py
"""

_base_ = [
    '../_base_/models/sla-det_yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)))
# The paper starts from a trained detector. From random weights the terms wait for half of the epochs; L_Tri then runs
# for four fifths of the rest, as in the paper for 40 of 50 epochs.
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None), triplet_epochs=(11, 18)))
