"""Grid R-CNN on TXL-PBC at 320 px, completely annotated. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/grid_rcnn/grid-rcnn_r18_txl-pbc.py
"""

_base_ = [
    '../_base_/models/grid-rcnn_r18.py',
    '../_base_/datasets/txl_pbc_320.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
