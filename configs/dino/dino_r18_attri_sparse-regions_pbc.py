"""AttriDet with DINO on PBC's sparse labels, 320 px, 15 epochs; queries start, and background counts, in the regions.

MMLEUK_DATA=... python tools/train.py configs/dino/dino_r18_attri_sparse-regions_pbc.py
"""

_base_ = [
    '../_base_/models/dino_r18.py',
    '../_base_/models/attri-det_wbcatt.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _base_.attri_det, _delete_=True,
    detector=dict(
        _base_.model,
        type='mmleuk.SparseRegionDINO',
        bbox_head=dict(_base_.model.bbox_head, type='mmleuk.SparseRegionDINOHead', num_classes=_base_.num_classes)))
optim_wrapper = dict(optimizer=dict(lr=0.0005), clip_grad=dict(max_norm=1.0))
val_evaluator = [*_base_.val_evaluator, *_base_.attribute_scores]
test_evaluator = val_evaluator
