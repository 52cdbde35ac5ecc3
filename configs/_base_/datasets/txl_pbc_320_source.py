"""TXL-PBC at 320 px: trained on PBC and BCD, tested on the other two imaging sources, Raabin-WBC and BCCD."""

_base_ = './cells_320.py'

num_classes = 3
train_dataloader = dict(batch_size=8, dataset=dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/txl_pbc/',
    ann_file='annotations/train.json',
    domains=['pbc', 'bcd'],
    metainfo=dict(preset='txl_pbc'))))
val_dataloader = dict(dataset=dict(
    data_root='{{$MMLEUK_DATA:data}}/txl_pbc/',
    ann_file='annotations/val.json',
    domains=['raabin', 'bccd'],
    metainfo=dict(preset='txl_pbc')))
test_dataloader = val_dataloader
