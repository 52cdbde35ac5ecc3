"""Ablation: labelled-region loss on images that are made of annotated regions, to the end. YOLOv5n, TXL-PBC."""

_base_ = './yolov5n_sla_txl-pbc_lr.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
