"""ConfMix, HCM_100x_C2 -> LCM_100x_C2 (LLD Table 6: 12.6 / 33.5).

50 epochs from the first phase, ``yolov5x_gaussian-source_hcm-lcm.py``. A batch has one image of each side.

python tools/train.py configs/domain_adaptation/yolov5x_confmix_hcm-lcm.py --cfg-options load_from=...
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/leukemia_attri_640_shift.py',
    '../_base_/schedules/yolov5.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='mmleuk.ConfMix',
    detector=dict(_base_.model, bbox_head=dict(
        _base_.model.bbox_head, type='mmleuk.GaussianYOLOv5Head', num_classes=_base_.num_classes,
        image_size=_base_.image_size)),
    labeller=dict(type='mmleuk.ScoreLabeller', min_score=0.25))
train_cfg = dict(max_epochs=50)
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook'))
