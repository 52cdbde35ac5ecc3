"""Rendered crops: the files, what mixed cells are, and refusals."""

import csv

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.cli import main
from mmleuk.registry import DATASETS
from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.synthetic.crop_writer import CropSettings, render_crop
from mmleuk.synthetic.pairs import mixed_look

KEYS = LEUKEMIA_ATTRIBUTES.keys


def test_command_writes_crops_that_the_config_reads(tmp_path, monkeypatch, capsys):
    out = tmp_path / 'crops'
    assert main(['data', 'crops', str(out), '--train', '16', '--test', '3', '--seed', '4', '--workers', '1']) == 0
    rows = list(csv.DictReader(open(out / 'train.csv')))
    assert len(rows) == 16 and cv2.imread(str(out / 'images/train/00015.png')).shape == (96, 96, 3)
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    config = Config.fromfile('configs/attributes/narrow-resnet_synthetic-crops.py')
    init_default_scope('mmdet')
    data = DATASETS.build(config.train_dataloader.dataset)
    types = [LEUKEMIA_CLASSES[data.get_data_info(index)['instances'][0]['bbox_label']] for index in range(16)]
    assert types == [row['label'] for row in rows] and 'None' in types
    for index, row in enumerate(rows):
        attributes = data.get_data_info(index)['instances'][0]['attributes']
        expected = IGNORE if row['label'] == 'None' else LEUKEMIA_CLASSES.index(row['label']) - 1
        assert attributes == [expected, *(LEUKEMIA_ATTRIBUTES.encode(key, row[key]) for key in KEYS)]
    assert main(['data', 'crops', str(out)]) == 2
    assert 'exists already' in capsys.readouterr().err


def test_same_seed_same_crops_whatever_the_others():
    one, other = render_crop(CropSettings(seed=2), 'train', 5), render_crop(CropSettings(seed=2), 'train', 5)
    assert np.array_equal(one[0], other[0]) and one[1] == other[1]
    assert not np.array_equal(one[0], render_crop(CropSettings(seed=2), 'test', 5)[0])


def test_mixed_attributes_do_not_follow_the_class():
    """Both values of the vacuoles are as frequent in lymphocytes, which never have them on films."""
    lymphocyte, generator = LEUKEMIA_CLASSES.index('Lymphocyte'), np.random.default_rng(0)
    values = np.array([mixed_look(lymphocyte, generator).attributes for _ in range(400)])
    assert (np.abs(values.mean(0) - 0.5) < 0.1).all()
    assert np.abs(np.corrcoef(values.T) - np.eye(6)).max() < 0.2


@pytest.mark.parametrize('arguments, message', [
    (['--train', '0'], 'train is 0'), (['--side', '8'], 'side is 8'), (['--seed', '-1'], 'seed is -1')])
def test_bad_arguments_write_nothing(tmp_path, capsys, arguments, message):
    assert main(['data', 'crops', str(tmp_path / 'out'), *arguments]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / 'out').exists()
