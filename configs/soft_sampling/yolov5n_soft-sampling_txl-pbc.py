"""Soft sampling: YOLOv5n on TXL-PBC's sparse labels at 320 px, background near a label counts more. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/soft_sampling/yolov5n_soft-sampling_txl-pbc.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(
    type='mmleuk.SoftSamplingYOLOv5Head',
    floor=0.25,
    offset=50.0,
    slope=20.0,
    num_classes=_base_.num_classes,
    image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))
