"""YOLOv5n trained on whole images of PBC, tested on LeukemiaAttri at 40x: what unequal scales alone cost. 320 px.

MMLEUK_DATA=... python tools/train.py configs/domain_adaptation/yolov5n_source-only-unscaled_pbc-lld.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_to_lld_320_source.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(
    _delete_=True,
    type='mmleuk.MultiImageMixDataset',
    dataset=dict(
        _base_.train_dataloader.dataset.dataset.dataset.dataset,
        pipeline=[
            dict(type='mmleuk.LoadImage'),
            dict(type='mmleuk.LoadCellAnnotations'),
        ]),
    pipeline=[
        dict(type='Resize', scale=(320, 320), keep_ratio=True),
        dict(type='Pad', size=(320, 320), pad_val=dict(img=(114, 114, 114))),
        *_base_.train_dataloader.dataset.pipeline[1:],
    ]))
