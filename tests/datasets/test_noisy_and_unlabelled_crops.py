"""Crops with wrong labels on purpose, and crops without any."""

import csv
import json

import cv2
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset

from mmleuk.datasets.crops import CellCropDataset
from mmleuk.datasets.label_noise import NoisyCrops, wrong_values
from mmleuk.datasets.source_sampler import EpochMultiSourceSampler
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


@pytest.fixture
def field(tmp_path):
    """A field of another laboratory: two cells of its own classes, one of which is ours, and an ignored one."""
    folder = tmp_path / 'field'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.png'), np.full((20, 30, 3), 90, np.uint8))
    content = dict(
        images=[dict(id=1, file_name='a.png', width=30, height=20)],
        categories=[dict(id=4, name='Blast'), dict(id=7, name='Odd')],
        annotations=[dict(id=number, image_id=1, category_id=category, bbox=box, area=1, iscrowd=crowd,
                          attributes=dict(hue=17)) for number, (category, box, crowd) in enumerate(
            [(4, [0, 0, 5, 5], 0), (7, [10, 2, 8, 9], 0), (7, [20, 2, 8, 9], 1)])])
    (folder / 'cells.json').write_text(json.dumps(content))
    return folder


def test_unlabelled_cells_come_from_a_file_of_any_classes_and_attributes(field):
    data = UnlabelledCrops(ann_file='cells.json', **options(field))
    infos = [data.get_data_info(index) for index in range(len(data))]
    assert [info['instances'][0]['bbox'] for info in infos] == [[0, 0, 5, 5], [10, 2, 18, 11]]
    assert all(info['instances'][0]['attributes'] == [IGNORE] * 3 and info['domain'] == 'target' for info in infos)
    (field / 'a.png').unlink()
    with pytest.raises(UserError, match='a.png'):
        UnlabelledCrops(ann_file='cells.json', **options(field))


def test_types_alone_are_read_where_the_rest_is_anothers(field):
    data = CellCropDataset(ann_file='cells.json', only_types=True, **options(field))
    cell, = data.get_data_info(0)['instances']
    assert (len(data), cell['bbox'], cell['bbox_label']) == (1, [10, 2, 18, 11], 1)
    assert cell['attributes'] == [1, IGNORE, IGNORE], 'the type is Odd'
    with pytest.raises(UserError, match='Blast'):
        CellCropDataset(ann_file='cells.json', **options(field))


def test_an_epoch_of_two_sources_ends_and_mixes_each_batch(crops, field):
    """10 labelled images, 2 per batch, are 5 batches; the 2 unlabelled cells take turns."""
    both = ConcatDataset([CellCropDataset(ann_file='train.csv', **options(crops)),
                          UnlabelledCrops(ann_file='cells.json', **options(field))])
    sampler = EpochMultiSourceSampler(both, batch_size=3, source_ratio=[2, 1], seed=0)
    for _ in range(2):
        batches = np.array(list(sampler)).reshape(-1, 3)
        assert len(sampler) == 15 and batches.shape == (5, 3)
        assert sorted(batches[:, :2].ravel()) == list(range(10)) and set(batches[:, 2]) == {10, 11}


def sampler_of(sizes, rank=0, world_size=1, **more):
    """Of data sets that are numbers; the process is set afterwards, since nothing is drawn before the first sample."""
    both = ConcatDataset.__new__(ConcatDataset)
    both.datasets, both.cumulative_sizes = [range(size) for size in sizes], np.cumsum(sizes).tolist()
    sampler = EpochMultiSourceSampler(both, source_ratio=[2, 1], **more)
    sampler.rank, sampler.world_size = rank, world_size
    return sampler


def test_a_resumed_training_goes_on_where_the_epoch_before_ended():
    """By hand, unshuffled: two batches of 2 + 1 per epoch use 4 of 5 numbers (0 to 4) and 2 of 3 (5 to 7)."""
    sampler = sampler_of((5, 3), batch_size=3, shuffle=False)
    epochs = [[0, 1, 5, 2, 3, 6], [4, 0, 7, 1, 2, 5], [3, 4, 6, 0, 1, 7]]
    assert [list(sampler) for _ in epochs] == epochs, 'as without a hook that tells the epoch'
    for epoch in (2, 0, 1):
        sampler.set_epoch(epoch)
        assert list(sampler) == epochs[epoch]
    assert list(sampler) == epochs[2]


@pytest.mark.parametrize('rank, world_size', [(0, 1), (0, 2), (1, 2)])
def test_each_process_resumes_with_the_samples_of_a_whole_training(rank, world_size):
    whole, told, options = [], [], dict(rank=rank, world_size=world_size, batch_size=3, seed=7)
    one, other = sampler_of((13, 5), **options), sampler_of((13, 5), **options)
    for epoch in range(4):
        other.set_epoch(epoch)
        whole.append(list(one))
        told.append(list(other))
    assert whole == told and len({tuple(samples) for samples in whole}) == 4
    for epoch in range(4):
        resumed = sampler_of((13, 5), **options)
        resumed.set_epoch(epoch)
        assert [list(resumed) for _ in range(epoch, 4)] == whole[epoch:]


def test_unlabelled_crops_know_nothing_but_their_domain(crops):
    data = UnlabelledCrops(domain='munich', **options(crops))
    info = data.get_data_info(3)
    assert (len(data), info['domain'], info['instances'][0]['attributes']) == (10, 'munich', [IGNORE] * 3)
    with pytest.raises(UserError, match='no such folder'):
        UnlabelledCrops(**options(crops / 'nothing'))
