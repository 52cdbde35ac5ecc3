"""Plain baseline (b) of LLD 5.2: everything outside the patch is blanked, tested on whole images (mAP@50 37.6)."""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/sparse_leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.BlankOutsideRegions'),
])))
train_cfg = dict(max_epochs=50)
