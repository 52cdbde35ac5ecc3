"""Types of another microscope's cells, with the labels of WBCAtt alone: their features are pulled together by MMD.

The batches of model.domain_loss=None are the same: what MMD is compared with. 3 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_wbcatt-to-lld.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/wbcatt_to_lld_crops.py',
    '../_base_/schedules/crops_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(domain_loss=dict(type='mmleuk.MMDLoss', loss_weight=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=3, T_max=2, eta_min=0.00001, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=3)
