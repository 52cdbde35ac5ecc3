"""Ours, HCM_100x_C2 -> LCM_100x_C2 (LLD Table 6: not there).

50 epochs from ``yolov5x_source-only_hcm-lcm.py``.

python tools/train.py configs/domain_adaptation/yolov5x_stain-teacher_hcm-lcm.py --cfg-options load_from=...
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/leukemia_attri_640_shift.py',
    '../_base_/schedules/yolov5.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='mmleuk.StainTeacher',
    detector=dict(_base_.model, bbox_head=dict(
        _base_.model.bbox_head, num_classes=_base_.num_classes,
        image_size=_base_.image_size)),
    labeller=dict(type='mmleuk.ScoreLabeller', min_score=0.4, unsure_score=0.1))
train_dataloader = dict(batch_size=2, dataset=dict(
    dataset=dict(pipeline=[
        *_base_.train_dataloader.dataset.dataset.pipeline[:-1],
        dict(type='mmleuk.StainJitter'),
        dict(type='mmleuk.PackCells'),
    ]),
    target=dict(pipeline=[
        dict(type='Resize', scale=(640, 640), keep_ratio=True),
        dict(type='Pad', size=(640, 640), pad_val=dict(img=(114, 114, 114))),
        dict(type='mmleuk.RandomAffine'),
        dict(type='RandomFlip', prob=0.5),
        dict(
            type='MultiBranch',
            branch_field=['target', 'target_strong'],
            target=[dict(type='mmleuk.PackCells')],
            target_strong=[
                dict(type='mmleuk.StainJitter'),
                dict(type='mmleuk.HSVJitter'),
                dict(type='mmleuk.PackCells'),
            ]),
    ])))
train_cfg = dict(max_epochs=50)
default_hooks = dict(
    # in the first epoch it learns the source alone, in varying stains
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(2, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
