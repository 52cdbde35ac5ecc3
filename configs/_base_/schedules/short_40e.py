"""``short.py`` for 40 epochs, which of a few hundred images are a few hundred iterations."""

_base_ = './short.py'

train_cfg = dict(max_epochs=40, val_interval=10)
