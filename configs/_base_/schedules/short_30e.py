"""``short.py`` for 30 epochs."""

_base_ = './short.py'

train_cfg = dict(max_epochs=30, val_interval=30)
