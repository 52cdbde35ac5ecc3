"""SLA-Det: YOLOv5x on Sparse-LeukemiaAttri (LLD 5.2, Table 8 last row: mAP@50-95 27.2, mAP@50 45.1).

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5_sla.py

The authors start from an AttriDet trained for 100 epochs on LeukemiaAttri (its detector is taken): add
``--cfg-options load_from=work_dirs/yolov5x_attri_leukemia-attri/epoch_100.pth``.
"""

_base_ = './yolov5_sla_lr.py'

model = dict(
    _delete_=True,
    type='mmleuk.SLADet',
    detector=_base_.model,
    labeller=dict(type='mmleuk.ThresholdLabeller', min_confidence=0.70, sure_confidence=0.95, max_entropy=0.26),
    pseudo_weight=0.1,
    loss_triplet=dict(type='mmleuk.TripletLoss', margin=0.05, reading='text', loss_weight=0.1))
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None), triplet_epochs=(1, 40)))
