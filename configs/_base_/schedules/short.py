"""A few hundred iterations from random weights on a CPU, with AdamW, which learns more in them than YOLOv5's SGD.

Also: a short warm-up, an average over the last hundred updates, and one update per batch. 20 epochs; the files for
other lengths build on this one.
"""

optim_wrapper = dict(
    type='mmleuk.YOLOv5OptimWrapper',
    constructor='mmleuk.YOLOv5OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=0.002, weight_decay=0.05))

param_scheduler = None  # YOLOv5WarmupHook sets the learning rate

custom_hooks = [
    dict(type='mmleuk.YOLOv5WarmupHook', warmup_epochs=1.0, min_warmup_iters=40, warmup_bias_lr=0.0,
         final_factor=0.02, nominal_batch=None),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.99, tau=100),
]

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

auto_scale_lr = dict(enable=False, base_batch_size=16)
