"""WBCAtt+ B.2: AdamW, learning rate 0.0001, weight decay 0.01, batch 32, 40 epochs. The paper names no decay of the
learning rate."""

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.0001, weight_decay=0.01))
param_scheduler = None
custom_hooks = []
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=40, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=32)
