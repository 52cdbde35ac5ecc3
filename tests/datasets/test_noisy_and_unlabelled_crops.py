"""Crops with wrong labels on purpose, and crops without any."""

import csv

import cv2
import numpy as np
import pytest

from mmleuk.datasets.label_noise import NoisyCrops, wrong_values
from mmleuk.datasets.unlabelled_crops import UnlabelledCrops
from mmleuk.errors import UserError
from mmleuk.schema import IGNORE

METAINFO = dict(preset=None, classes=('Round', 'Odd'), attributes=dict(
    cell_type=['Round', 'Odd'], hue=['red', 'blue', 'grey'], ring=['no', 'yes']))


def test_exactly_this_share_becomes_another_value():
    values = np.random.default_rng(0).integers(0, [3, 2], (500, 2))
    values[::5, 0] = IGNORE
    wrong = wrong_values(values, [3, 2], 0.1, seed=1)
    changed = wrong != values
    assert changed.sum() == 90  # of 900 known values
    assert (wrong[values == IGNORE] == IGNORE).all()
    assert ((0 <= wrong[changed]) & (wrong[changed] < np.broadcast_to([3, 2], values.shape)[changed])).all()
    assert np.array_equal(wrong, wrong_values(values, [3, 2], 0.1, seed=1))
    assert not np.array_equal(wrong, wrong_values(values, [3, 2], 0.1, seed=2))


def test_each_other_value_has_the_same_chance():
    wrong = wrong_values(np.zeros((30000, 1), int), [4], 1.0, seed=0)
    assert np.bincount(wrong[:, 0])[1:].tolist() == [pytest.approx(10000, rel=0.03)] * 3
    assert not (wrong == 0).any()


@pytest.fixture
def crops(tmp_path):
    with open(tmp_path / 'train.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['img_name', 'label', 'hue', 'ring'])
        for number in range(10):
            cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8, 3), 100, np.uint8))
            writer.writerow([f'{number}.png', 'Odd', 'grey', 'no'])
    return tmp_path


def options(root):
    metainfo = {key: value for key, value in METAINFO.items() if value is not None}
    return dict(data_root=f'{root}/', data_prefix=dict(img=''), metainfo=metainfo, pipeline=[])


def test_noisy_crops_keep_types(crops):
    data = NoisyCrops(ann_file='train.csv', label_noise=0.25, **options(crops))
    rows = np.array([data.get_data_info(index)['instances'][0]['attributes'] for index in range(len(data))])
    assert (rows[:, 0] == 1).all()  # the type
    assert (rows[:, 1:] != [2, 0]).sum() == 5  # a quarter of 20
    with pytest.raises(UserError, match='label_noise is 2'):
        NoisyCrops(ann_file='train.csv', label_noise=2, **options(crops))


def test_unlabelled_crops_know_nothing_but_their_domain(crops):
    data = UnlabelledCrops(domain='munich', **options(crops))
    info = data.get_data_info(3)
    assert (len(data), info['domain'], info['instances'][0]['attributes']) == (10, 'munich', [IGNORE] * 3)
    with pytest.raises(UserError, match='no such folder'):
        UnlabelledCrops(**options(crops / 'nothing'))
