"""WBCAtt+ B.1: 2,000 iterations of AdamW at 1e-4, weight decay 0.01; the best weights by validation macro F1."""

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.0001, weight_decay=0.01))
param_scheduler = []
custom_hooks = []
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2000, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
