"""Leukocytes at 600 px as ``leukocyte_600.py``, in VOC form: nothing has to be converted.

Put the files under $MMLEUK_DATA/leukocyte_voc as Annotations/*.xml, JPEGImages/ and ImageSets/Main/{train,test}.txt.
XML with plain corners from 0 (many tools write it) needs corners='edges' in both data sets.
"""

_base_ = './leukocyte_600.py'

train_dataloader = dict(dataset=dict(dataset=dict(
    type='mmleuk.VOCCellsDataset',
    data_root='{{$MMLEUK_DATA:data}}/leukocyte_voc/',
    ann_file='ImageSets/Main/train.txt',
    data_prefix=dict(img='JPEGImages/'))))
val_dataloader = dict(dataset=dict(
    type='mmleuk.VOCCellsDataset',
    data_root='{{$MMLEUK_DATA:data}}/leukocyte_voc/',
    ann_file='ImageSets/Main/test.txt',
    data_prefix=dict(img='JPEGImages/')))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmleuk.CocoMetric', metric='bbox', classwise=True)]
test_evaluator = val_evaluator
