"""Munich AML morphology data set (Matek et al. 2019), single-cell images in a folder per type, 64 px: 15 types.

The names carry no patient, so images of one person can be in two parts.
"""

_base_ = './wbcatt_crops.py'

images = dict(
    data_root='{{$MMLEUK_DATA:data}}/AML-Cytomorphology_LMU/',
    ann_file='',
    data_prefix=dict(img=''),
    metainfo=dict(preset='munich_aml'),
    class_names=dict(BAS='Basophil', EBO='Erythroblast', EOS='Eosinophil', KSC='Smudge cell',
        LYA='Atypical lymphocyte', LYT='Typical lymphocyte', MMZ='Metamyelocyte', MOB='Monoblast', MON='Monocyte',
        MYB='Myelocyte', MYO='Myeloblast', NGB='Band neutrophil', NGS='Segmented neutrophil',
        PMB='Bilobed promyelocyte', PMO='Promyelocyte'))
parts = dict(train=0.7, val=0.1, test=0.2)
train_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='train')))
val_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='val')))
test_dataloader = dict(dataset=dict(**images, split=dict(parts=parts, part='test')))
