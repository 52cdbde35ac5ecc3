"""A recogniser with random weights, crops of painted cells, and a bottleneck fitted on it."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmleuk.utils.config_file import build_model

TYPES = ['Disc', 'Ring']
SCHEMA = {'cell_type': TYPES, 'granule_colour': ['nil', 'pink', 'purple'], 'size': ['small', 'big']}
CONFIG = """
metainfo = dict(classes={types}, attributes={schema})
model = dict(
    type='mmleuk.AttributeRecognizer', attributes={schema}, crop_size=32, dropout=0.0,
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[114.0] * 3, std=[64.0] * 3, bgr_to_rgb=True),
    encoder=dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(3,), frozen_stages=-1,
                 norm_eval=False, norm_cfg=dict(type='GN', num_groups=4)))
dataset = dict(
    type='mmleuk.CellCropDataset', data_root='{root}/', ann_file='cells.csv', data_prefix=dict(img=''),
    metainfo=metainfo, test_mode=True, pipeline=[
        dict(type='mmleuk.LoadImage'), dict(type='Resize', scale=(32, 32)), dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.PackCells')])
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset)
val_dataloader = test_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
"""


def paint(number: int, size: int = 48) -> tuple[np.ndarray, str, str, str]:
    """A dark nucleus on pale ground, with type, granule colour and size."""
    kind, colour, big = number % 2, number % 3, number % 4 // 2
    image = np.full((size, size, 3), 225, np.uint8)
    cv2.circle(image, (size // 2, size // 2), 20 if big else 14, [(225, 200, 200), (200, 170, 240), (190, 90, 130)][
        colour], -1)
    cv2.circle(image, (size // 2, size // 2), 9, (130, 40, 80), 4 if kind else -1)
    return image, TYPES[kind], SCHEMA['granule_colour'][colour], SCHEMA['size'][big]


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """Paths of a config, its weights, and a folder of twelve crops with their table."""
    root = tmp_path_factory.mktemp('lab')
    rows = ['img_name,label,granule_colour,size']
    for number in range(12):
        image, *values = paint(number)
        cv2.imwrite(str(root / f'cell_{number:02d}.png'), image)
        rows.append(','.join([f'cell_{number:02d}.png', *values]))
    (root / 'cells.csv').write_text('\n'.join(rows) + '\n')
    config = root / 'config.py'
    config.write_text(CONFIG.format(types=TYPES, schema=SCHEMA, root=root))
    torch.manual_seed(0)
    model = build_model(Config.fromfile(str(config)))
    model.init_weights()
    torch.nn.init.normal_(model.classifier.layers[0].weight, std=0.5)  # else all cells have the same probabilities
    checkpoint = root / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=TYPES, attributes=SCHEMA))),
               checkpoint)
    return SimpleNamespace(root=root, config=str(config), checkpoint=str(checkpoint), crops=str(root / '*.png'))


@pytest.fixture(scope='module')
def bottlenecks(lab) -> Path:
    """Folder of ``mmleuk bottleneck`` for the recogniser."""
    from mmleuk.cli import main
    out = lab.root / 'bottleneck'
    assert main(['bottleneck', lab.config, lab.checkpoint, '--out', str(out), '--device', 'cpu']) == 0
    return out


@pytest.fixture
def paint_cell():
    """:func:`paint`."""
    return paint
