"""``short.py`` for 10 epochs."""

_base_ = './short.py'

train_cfg = dict(max_epochs=10, val_interval=10)
