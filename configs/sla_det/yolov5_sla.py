"""SLA-Det: YOLOv5x on Sparse-LeukemiaAttri (LLD 5.2, Table 8 last row: mAP@50-95 27.2, mAP@50 45.1).

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5_sla.py

The authors start from the detector of an AttriDet that was trained for 100 epochs on LeukemiaAttri. To do so, add
``--cfg-options load_from=work_dirs/yolov5x_attri_leukemia-attri/epoch_100.pth``.
"""

_base_ = [
    '../_base_/models/sla-det_yolov5x.py',
    '../_base_/datasets/sparse_leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)))
train_cfg = dict(max_epochs=50)
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None), triplet_epochs=(1, 40)))
