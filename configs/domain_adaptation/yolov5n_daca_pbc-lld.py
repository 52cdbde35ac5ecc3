"""DACA, YOLOv5n, labels of PBC, images of LeukemiaAttri at 40x, leukocytes as one class. 10 epochs on a CPU.

It starts from the source-only training's weights (``load_from``).

MMLEUK_DATA=... python tools/train.py configs/domain_adaptation/yolov5n_daca_pbc-lld.py --cfg-options load_from=...
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_to_lld_320_shift.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='mmleuk.DACA',
    detector=dict(_base_.model, bbox_head=dict(
        _base_.model.bbox_head, type='mmleuk.GaussianYOLOv5Head', num_classes=_base_.num_classes,
        image_size=_base_.image_size)),
    labeller=dict(type='mmleuk.ScoreLabeller', min_score=0.1))
optim_wrapper = dict(optimizer=dict(lr=0.001))
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook'))
