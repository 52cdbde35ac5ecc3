"""SLA-Det+: labelled-region loss, every other image made of annotated regions. YOLOv5n, TXL-PBC.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus_txl-pbc.py
"""

_base_ = './yolov5n_sla_txl-pbc_lr.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=0.5),
    *_base_.train_dataloader.dataset.pipeline]))
