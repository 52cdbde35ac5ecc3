"""YOLOv5's optimiser, warm-up, decay and moving average (mmleuk/engine).

A config sets ``train_cfg = dict(max_epochs=...)`` and ``optim_wrapper = dict(optimizer=dict(lr=...))``. The batch
size is read from the loader: ``nominal_batch`` images make one update, in ``round(64 / batch)`` batches. So there is no
``auto_scale_lr``: it would scale the learning rate as well.
"""

optim_wrapper = dict(
    type='mmleuk.YOLOv5OptimWrapper',
    constructor='mmleuk.YOLOv5OptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.937, weight_decay=5e-4, nesterov=True))

param_scheduler = None  # YOLOv5WarmupHook sets the learning rate

custom_hooks = [
    dict(type='mmleuk.YOLOv5WarmupHook', warmup_epochs=3.0, min_warmup_iters=100, warmup_bias_lr=0.1,
         warmup_momentum=0.8, final_factor=0.01, decay='linear', nominal_batch=64),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.9999, tau=2000),
]

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
