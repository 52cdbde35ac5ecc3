"""mmleuk segment: masks, measures and page from images; bad input leaves nothing behind."""

import csv
import os

import numpy as np
import pytest
import torch
from drawn_cells import THREE, draw_cells
from PIL import Image

from mmleuk.cli import main
from mmleuk.structures.cell_measures import measure_cell
from mmleuk.utils.config_file import build_model, read_config

pytest.importorskip('mmseg', reason="MMSegmentation (extra 'seg') is not installed")

CONFIG = """
_base_ = ['{base}']
model = dict(data_preprocessor=dict(size=(96, 96)), backbone=dict(base_channels=4),
             decode_head=dict(in_channels=4, channels=4, dropout_ratio=0))
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'), dict(type='Resize', scale=(96, 96)), dict(type='mmleuk.LoadPartMask'),
    dict(type='mmseg.PackSegInputs')]))
"""


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config and weights of a tiny model that knows the drawn cells."""
    from test_segmenters import SMALL

    from mmleuk.datasets import CellMaskDataset
    folder = tmp_path_factory.mktemp('trained')
    config = folder / 'tiny.py'
    config.write_text(CONFIG.format(base=SMALL))
    draw_cells(folder / 'train', 4, size=96)
    cfg = read_config(config)
    pipeline = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadPartMask', parts=THREE),
                dict(type='mmseg.PackSegInputs')]
    data = CellMaskDataset(data_root=str(folder), data_prefix=dict(img='train', mask='train'), pipeline=pipeline,
                           mask_suffix='_mask.png', metainfo=dict(classes=THREE))
    rows = [data[index] for index in range(4)]
    batch = dict(inputs=[row['inputs'] for row in rows], data_samples=[row['data_samples'] for row in rows])
    torch.manual_seed(0)
    model = build_model(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(80):
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'weights.pth')
    return str(config), str(folder / 'weights.pth')


def images(folder, number=2, size=96):
    draw_cells(folder, number, seed=5, size=size)
    truth = {}
    for path in sorted(folder.glob('*_mask.png')):
        truth[path.name.replace('_mask.png', '.png')] = np.asarray(Image.open(path))
        path.unlink()
    return truth


def test_masks_measures_and_page(tmp_path, trained, capsys):
    truth = images(tmp_path / 'in')
    out = tmp_path / 'out'
    assert main(['segment', str(tmp_path / 'in'), *trained, '--out', str(out), '--um-per-px', '0.1']) == 0
    assert 'masks of 2 images, measures of 2 cells' in capsys.readouterr().out
    rows = list(csv.DictReader((out / 'measures.csv').open(encoding='utf-8')))
    assert [row['img_name'] for row in rows] == sorted(truth)
    for row in rows:
        mask = np.asarray(Image.open(out / 'masks' / row['img_name']))
        assert mask.shape == (96, 96) and (mask == truth[row['img_name']]).mean() > 0.85
        cell, true = measure_cell(mask), measure_cell(truth[row['img_name']])
        assert float(row['cell_area']) == pytest.approx(cell.cell_area * 0.01)
        assert float(row['nc_ratio']) == pytest.approx(cell.nc_ratio) == pytest.approx(true.nc_ratio, rel=0.4)
        assert row['lobes'] == '1' and row['cell'] == 'yes' and row['touches_border'] == 'no'
    page = (out / 'masks.html').read_text(encoding='utf-8')
    assert 'Not for diagnosis' in page and 'µm²' in page and page.count('<figure>') == 2 and 'http' not in page


def test_an_image_without_a_cell_is_said(tmp_path, trained, capsys):
    (tmp_path / 'in').mkdir()
    Image.new('RGB', (96, 96), (240, 230, 230)).save(tmp_path / 'in/empty.png')
    assert main(['segment', str(tmp_path / 'in'), *trained, '--out', str(tmp_path / 'out')]) == 0
    printed = capsys.readouterr().out
    assert 'masks of 1 image, measures of 0 cells\n' in printed and 'no cell in empty.png' in printed
    row, = csv.DictReader((tmp_path / 'out/measures.csv').open(encoding='utf-8'))
    assert row['cell'] == 'no' and row['nc_ratio'] == ''


def test_names_of_bytes_that_are_no_text(tmp_path, trained, capsys):
    (tmp_path / 'in').mkdir()
    odd = os.fsdecode(b'zelle_\xe4.png')
    Image.new('RGB', (96, 96), (240, 230, 230)).save(tmp_path / 'in' / odd)
    assert main(['segment', str(tmp_path / 'in'), *trained, '--out', str(tmp_path / 'out')]) == 0
    assert 'no cell in zelle_?.png' in capsys.readouterr().out and (tmp_path / 'out/masks' / odd).is_file()
    row, = csv.DictReader((tmp_path / 'out/measures.csv').open(encoding='utf-8'))
    assert row['img_name'] == 'zelle_?.png' and (tmp_path / 'out/masks.html').read_text(encoding='utf-8')


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--um-per-px', '0'], '--um-per-px is 0'), (['--out', 'full'], 'exists already'),
    (['--device', 'tpu'], 'cannot be used')])
def test_bad_arguments(tmp_path, trained, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / 'in', 1)
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/thesis.tex').write_text('')
    assert main(['segment', 'in', *trained, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'parts').exists()


def test_images_whose_masks_would_share_a_name(tmp_path, trained, capsys):
    (tmp_path / 'in').mkdir()
    for suffix in ('jpg', 'png'):
        Image.new('RGB', (96, 96)).save(tmp_path / f'in/a.{suffix}')
    assert main(['segment', str(tmp_path / 'in'), *trained, '--out', str(tmp_path / 'out')]) == 2
    assert 'a.png: its mask would be masks/a.png, as that of a.jpg' in capsys.readouterr().err


def test_a_config_of_another_kind(tmp_path, trained, capsys):
    from test_segmenters import CONFIGS
    images(tmp_path / 'in', 1)
    other = CONFIGS.parent / 'yolov5/yolov5n_synthetic.py'
    assert main(['segment', str(tmp_path / 'in'), str(other), trained[1], '--out', str(tmp_path / 'out')]) == 2
    assert 'trained on mmleuk.CellMaskDataset' in capsys.readouterr().err
