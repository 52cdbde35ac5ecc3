"""Plain baseline (b) of LLD 5.2 on TXL-PBC: everything outside the patch is blanked."""

_base_ = './yolov5n_txl-pbc.py'

train_dataloader = dict(dataset=dict(dataset=dict(
    ann_file='annotations/train_sparse.json',
    annotation='sparse',
    pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.BlankOutsideRegions'),
    ])))
