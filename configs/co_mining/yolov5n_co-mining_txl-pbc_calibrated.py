"""Co-mining with thresholds measured in the annotated regions: YOLOv5n on TXL-PBC at 320 px. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/co_mining/yolov5n_co-mining_txl-pbc_calibrated.py
"""

_base_ = [
    '../_base_/models/co-mining_yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    labeller=dict(type='mmleuk.CalibratedViewLabeller', num_classes=_base_.num_classes))
train_dataloader = dict(dataset=dict(pipeline=[
    *_base_.train_dataloader.dataset.pipeline[:-1],
    dict(
        type='MultiBranch',
        branch_field=['original', 'augmented'],
        original=[dict(type='mmleuk.PackCells')],
        augmented=[dict(type='mmleuk.ColorJitter'), dict(type='mmleuk.PackCells')]),
]))
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook'))
