"""Ours, YOLOv5n, labels of PBC, images of LeukemiaAttri at 40x, leukocytes as one class. 10 epochs on a CPU.

It starts from the source-only training's weights (``load_from``). The target's red cells and nuclei get the colours of
PBC's, in training and in testing, and images of PBC lose resolution: LeukemiaAttri's are less sharp.

MMLEUK_DATA=... python tools/train.py configs/domain_adaptation/yolov5n_stain-teacher_pbc-lld.py --cfg-options \
load_from=...
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_to_lld_320_shift.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

# Optical density of red cells and nuclei, and the colour of glass, in PBC's images (BGR).
colours = dict(
    type='mmleuk.FilmColours', red_cells=(0.22, 0.35, 0.16), nuclei=(0.41, 2.43, 1.35), glass=(203, 228, 255),
    largest_red=0.85)
model = dict(
    _delete_=True,
    type='mmleuk.StainTeacher',
    detector=dict(_base_.model, bbox_head=dict(
        _base_.model.bbox_head, num_classes=_base_.num_classes,
        image_size=_base_.image_size)),
    # Labels of lower scores are red cells, and there are more of them after each epoch.
    labeller=dict(type='mmleuk.ScoreLabeller', min_score=0.75, unsure_score=0.1),
    target_weight=0.5)
train_dataloader = dict(dataset=dict(
    dataset=dict(pipeline=[
        *_base_.train_dataloader.dataset.dataset.pipeline[:-1],
        dict(type='mmleuk.StainJitter'),
        dict(type='mmleuk.LoseResolution', factor_range=(0.35, 1.0), prob=0.5),
        dict(type='mmleuk.PackCells'),
    ]),
    target=dict(
        dataset=dict(pipeline=[
            dict(type='mmleuk.LoadImage'),
            colours,
            dict(type='mmleuk.LoadCellAnnotations'),
        ]),
        pipeline=[
            dict(type='Resize', scale=(320, 320), keep_ratio=True),
            dict(type='Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
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
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    colours,
    *_base_.val_dataloader.dataset.pipeline[1:],
]))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.001))
default_hooks = dict(
    # in the first epoch it learns the source alone, in varying stains
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(2, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
