"""Co-Student's mechanism: Co-mining with a teacher, YOLOv5n on TXL-PBC's sparse labels at 320 px. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/co_student/yolov5n_co-student_txl-pbc.py
"""

_base_ = [
    '../_base_/models/co-student_yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)))
train_dataloader = dict(dataset=dict(
    dataset=dict(annotation='complete'),
    pipeline=[
        *_base_.train_dataloader.dataset.pipeline[:-1],
        dict(
            type='MultiBranch',
            branch_field=['original', 'augmented'],
            original=[dict(type='mmleuk.PackCells')],
            augmented=[
                dict(type='mmleuk.ColorJitter'),
                dict(type='CutOut', n_holes=(1, 5), cutout_ratio=[(0.05, 0.05), (0.1, 0.1), (0.15, 0.15)],
                     fill_in=(114, 114, 114)),
                dict(type='mmleuk.PackCells'),
            ]),
    ]))
default_hooks = dict(
    # From the first epoch on it diverges (README.md).
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
