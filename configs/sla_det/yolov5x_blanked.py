"""Plain baseline (b) of LLD 5.2: everything outside the patch is blanked, tested on whole images (mAP@50 37.6)."""

_base_ = './yolov5x_sparse-as-complete.py'

train_dataloader = dict(dataset=dict(dataset=dict(
    annotation='sparse',
    pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.BlankOutsideRegions'),
    ])))
