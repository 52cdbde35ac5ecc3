"""``short.py`` for 15 epochs."""

_base_ = './short.py'

train_cfg = dict(max_epochs=15)
