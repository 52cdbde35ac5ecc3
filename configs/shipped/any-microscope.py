"""The shipped model: finder and reader joined. ``tools/ship_model.py`` sets the numbers that are measured on val.

Its result is in the package (mmleuk/shipped), and is what ``mmleuk infer film.png`` uses.
"""

_base_ = './cell-finder_txl-pbc.py'

types = ('Neutrophil', 'Eosinophil', 'Basophil', 'Lymphocyte', 'Monocyte', 'Other leukocyte')
classes = (*types, 'RBC', 'Platelets')
window = 112

model = dict(
    _delete_=True,
    type='mmleuk.FindAndRead',
    finder=_base_.model,
    reader=dict(
        type='mmleuk.AttributeRecognizer',
        data_preprocessor=dict(
            type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
        attributes='wbcatt_crops_other',
        crop_size=window),
    classes=classes,
    window=window,
    unsure=types[-1])
val_dataloader = dict(dataset=dict(metainfo=dict(
    _delete_=True, classes=classes, leukocytes=types, described=types, preset='wbcatt_crops_other')))
test_dataloader = val_dataloader

red_cell_diameter = 39
"""Pixels of a red cell in the network's input, as in training: ``mmleuk infer`` scales every film to it."""

film_colours = dict(largest_red=0.85, density=(0.22, 0.35, 0.16), glass=(203, 228, 255))
"""Films with blue-grey red cells get the colours of PBC's, which the reader knows. On TXL-PBC's four sources the median
ratio of red to green density is 0.48 to 0.68."""
