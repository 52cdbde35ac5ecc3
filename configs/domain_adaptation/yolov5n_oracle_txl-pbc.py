"""YOLOv5n trained and tested on TXL-PBC's images from Raabin-WBC and BCCD: the upper bound of adaptation. 320 px.

MMLEUK_DATA=... python tools/train.py configs/domain_adaptation/yolov5n_oracle_txl-pbc.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_source.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(domains=['raabin', 'bccd'])))
