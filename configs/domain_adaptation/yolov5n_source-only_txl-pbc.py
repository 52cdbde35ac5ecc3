"""YOLOv5n trained on TXL-PBC's images from PBC and BCD, tested on Raabin-WBC and BCCD: the lower bound. 320 px.

MMLEUK_DATA=... python tools/train.py configs/domain_adaptation/yolov5n_source-only_txl-pbc.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_source.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
