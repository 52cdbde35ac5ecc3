"""TXL-PBC at 320 px in pairs: PBC and BCD with labels, Raabin-WBC and BCCD without; tested on the latter."""

_base_ = './cells_320.py'

num_classes = 3
train_dataloader = dict(batch_size=8, dataset=dict(
    _delete_=True,
    type='mmleuk.SourceTargetDataset',
    dataset=dict(
        _base_.train_dataloader.dataset,
        dataset=dict(
            _base_.train_dataloader.dataset.dataset,
            data_root='{{$MMLEUK_DATA:data}}/txl_pbc/',
            ann_file='annotations/train.json',
            domains=['pbc', 'bcd'],
            metainfo=dict(preset='txl_pbc'))),
    target=dict(
        _base_.train_dataloader.dataset,
        dataset=dict(
            _base_.train_dataloader.dataset.dataset,
            data_root='{{$MMLEUK_DATA:data}}/txl_pbc/',
            ann_file='annotations/train.json',
            domains=['raabin', 'bccd'],
            annotation='hidden',
            metainfo=dict(preset='txl_pbc')))))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/txl_pbc/',
    ann_file='annotations/val.json',
    domains=['raabin', 'bccd'],
    metainfo=dict(preset='txl_pbc')))
test_dataloader = val_dataloader
