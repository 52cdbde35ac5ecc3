"""YOLOv5n trained and tested on LeukemiaAttri at 40x, leukocytes as one class: the upper bound. 320 px.

MMLEUK_DATA=... python tools/train.py configs/domain_adaptation/yolov5n_oracle_pbc-lld.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_to_lld_320_source.py',
    '../_base_/schedules/short_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(
    _delete_=True,
    type='mmleuk.MultiImageMixDataset',
    dataset=dict(
        _base_.val_dataloader.dataset,
        test_mode=False,
        ann_file='annotations/train.json',
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadCellAnnotations'),
        ]),
    pipeline=[
        dict(type='Resize', scale=(320, 320), keep_ratio=True),
        *_base_.train_dataloader.dataset.pipeline[1:],
    ]))
