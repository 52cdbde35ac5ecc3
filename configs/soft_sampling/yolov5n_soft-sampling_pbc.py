"""Soft sampling: YOLOv5n on PBC's sparse labels at 320 px, background near a label counts more. 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/soft_sampling/yolov5n_soft-sampling_pbc.py
"""

_base_ = '../yolov5/yolov5n_pbc_sparse-as-complete.py'

model = dict(bbox_head=dict(type='mmleuk.SoftSamplingYOLOv5Head', floor=0.25, offset=50.0, slope=20.0))
