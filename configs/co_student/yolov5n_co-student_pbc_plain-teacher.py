"""Co-Student: two views, each with its own geometry, and a teacher on the plain image. YOLOv5n, PBC, 320 px.

15 epochs on a CPU: MMLEUK_DATA=... python tools/train.py configs/co_student/yolov5n_co-student_pbc_plain-teacher.py
"""

_base_ = [
    '../_base_/models/co-student_yolov5n.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

pack = dict(
    type='mmleuk.PackCells', meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor', 'homography_matrix'))
colours = [[dict(type=name)] for name in (
    'AutoContrast', 'Equalize', 'Posterize', 'Solarize', 'Color', 'Contrast', 'Brightness', 'Sharpness')]
model = dict(detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)))
train_dataloader = dict(dataset=dict(
    dataset=dict(annotation='complete'),
    pipeline=[
        *_base_.train_dataloader.dataset.pipeline[:2],
        dict(
            type='MultiBranch',
            branch_field=['plain', 'original', 'augmented'],
            plain=[pack],
            original=[*_base_.train_dataloader.dataset.pipeline[2:-1], pack],
            augmented=[
                dict(type='RandAugment', aug_space=colours, aug_num=1),
                dict(type='mmleuk.RandomAffine', max_shear_degree=10.0),
                dict(type='RandomFlip', prob=0.5),
                dict(type='CutOut', n_holes=(1, 5), cutout_ratio=[(0.05, 0.05), (0.1, 0.1), (0.15, 0.15)],
                     fill_in=(114, 114, 114)),
                pack,
            ]),
    ]))
default_hooks = dict(
    # From the first epoch on it diverges (README.md).
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(8, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
