"""LeukemiaAttri at 640 px in pairs: HCM_100x_C2 with labels, LCM_100x_C2 without; tested on the latter."""

_base_ = './leukemia_attri_640.py'

train_dataloader = dict(batch_size=1, dataset=dict(
    _delete_=True,
    type='mmleuk.SourceTargetDataset',
    dataset=_base_.train_dataloader.dataset,
    target=dict(
        _base_.train_dataloader.dataset,
        dataset=dict(_base_.train_dataloader.dataset.dataset, subset='LCM_100x_C2', annotation='hidden'))))
val_dataloader = dict(dataset=dict(subset='LCM_100x_C2'))
test_dataloader = val_dataloader
