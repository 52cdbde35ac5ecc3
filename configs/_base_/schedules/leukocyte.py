"""16 epochs of SGD as in Leukocyte. The learning rate falls at epochs 11 and 15; the paper does not say when."""

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001))

param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=16, by_epoch=True, milestones=[11, 15], gamma=0.1),
]

custom_hooks = []

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=16, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

auto_scale_lr = dict(enable=False, base_batch_size=16)
