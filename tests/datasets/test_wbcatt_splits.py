"""The images that attributes are scored on are in no training file."""

import csv
import json
import os
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get('MMLEUK_DATA', 'data'))
CONFIGS = ['yolov5/yolov5n_wbcatt.py', 'attri_det/yolov5n_attri_wbcatt.py', 'cbm/yolov5n_cbm_wbcatt.py']


def names_in(path):
    return [image['pbc_name'] for image in json.loads(path.read_text())['images']]


@pytest.fixture(scope='module')
def scored():
    path = DATA / 'txl_pbc/annotations/attri_val.json'
    if not path.is_file():
        pytest.skip(f'needs {path}; set MMLEUK_DATA to the folder that holds txl_pbc')
    names = names_in(path)
    assert len(names) == len(set(names)) == 100
    return set(names)


def test_not_among_the_training_images(scored):
    trained = names_in(DATA / 'txl_pbc/annotations/attri_train.json')
    assert len(trained) == 350 and not scored & set(trained)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_not_among_wbcatts_single_cells(scored, split):
    path = DATA / f'wbcatt/{split}.csv'
    if not path.is_file():
        pytest.skip(f'needs {path}; set MMLEUK_DATA to the folder that holds wbcatt')
    with path.open(newline='') as lines:
        names = {row['img_name'] for row in csv.DictReader(lines)}
    assert names and not scored & names


@pytest.mark.parametrize('name', CONFIGS)
def test_configs_train_on_that_file_and_on_nothing_else(name):
    cfg = Config.fromfile(str(ROOT / 'configs' / name))
    assert cfg.train_dataloader.dataset.dataset.ann_file == 'annotations/attri_train.json'
    assert cfg.val_dataloader.dataset.ann_file == 'annotations/attri_val.json'
    assert cfg.load_from is None
