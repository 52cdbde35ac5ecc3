"""Soft sampling: YOLOv5n on TXL-PBC's sparse labels at 320 px, background near a label counts more. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/soft_sampling/yolov5n_soft-sampling_txl-pbc.py
"""

_base_ = '../yolov5/yolov5n_txl-pbc_sparse-as-complete.py'

model = dict(bbox_head=dict(type='mmleuk.SoftSamplingYOLOv5Head', floor=0.25, offset=50.0, slope=20.0))
