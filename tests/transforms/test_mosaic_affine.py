"""MosaicAffine gives the cells, regions and nearly the pixels of Mosaic followed by RandomAffine."""

import random
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.structures import CellBoxes
from mmleuk.transforms import Mosaic, MosaicAffine, RandomAffine

SIZE = (64, 48)  # width, height
KEYS = ('gt_bboxes_labels', 'gt_ignore_flags')


def part(rng, width, height, count):
    """An image that gets brighter linearly, so that interpolating it twice or once makes no difference."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    slope, offset = rng.uniform(0.2, 1.0, 2), rng.uniform(0, 60)
    image = (offset + slope[0] * 90 * x / width + slope[1] * 90 * y / height).round().astype(np.uint8)
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), 1).reshape(-1, 4) * [width, height, width, height]
    boxes = CellBoxes(torch.tensor(corners).float().reshape(-1, 4), attributes=torch.arange(2 * count).reshape(-1, 2),
                      regions=torch.tensor([[2., 3., width - 5., height - 1.]]))
    return dict(img=np.stack([image] * 3, -1), gt_bboxes=boxes, gt_bboxes_labels=np.arange(count),
                gt_ignore_flags=rng.random(count) < 0.3)


def mixed(seed, count):
    rng = np.random.default_rng(seed)
    first, *others = (part(rng, *rng.integers(20, 150, 2).tolist(), count) for _ in range(4))
    return first | dict(mix_results=others)


def run(transforms, sample, seed):
    random.seed(seed)
    np.random.seed(seed)
    sample = deepcopy(sample)
    for transform in transforms:
        sample = transform.transform(sample)
    return sample


def two_steps(**affine):
    return [Mosaic(img_scale=SIZE, pad_val=114), RandomAffine(border=(-SIZE[0] // 2, -SIZE[1] // 2), **affine)]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 6))
def test_cells_are_those_of_the_two_steps(seed, count):
    sample = mixed(seed, count)
    one = run([MosaicAffine(img_scale=SIZE)], sample, seed)
    two = run(two_steps(), sample, seed)
    assert torch.allclose(one['gt_bboxes'].tensor, two['gt_bboxes'].tensor, atol=1e-3)
    assert torch.equal(one['gt_bboxes'].attributes, two['gt_bboxes'].attributes)
    assert torch.allclose(one['gt_bboxes'].regions, two['gt_bboxes'].regions, atol=1e-3)
    assert all(np.array_equal(one[key], two[key]) for key in KEYS)
    assert one['img_shape'] == two['img_shape'] == one['img'].shape[:2] == SIZE[::-1]
    assert np.allclose(one['homography_matrix'], two['homography_matrix'])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_smooth_images_look_the_same_away_from_the_seams(seed):
    sample = mixed(seed, 1)
    one, two = (run(steps, sample, seed)['img'].astype(int) for steps in ([MosaicAffine(img_scale=SIZE)], two_steps()))
    differs = np.abs(one - two)[..., 0] > 4
    assert differs.mean() < 0.12  # seams, and the borders of images that are smaller than their quarter


def test_an_image_of_one_grey_value_is_exact_beside_its_seams():
    sample = mixed(3, 0)
    for index, each in enumerate([sample, *sample['mix_results']]):
        each['img'] = np.full((80, 90, 3), 50 * index, np.uint8)
    shown = run([MosaicAffine(img_scale=SIZE)], sample, 0)['img']
    assert set(np.unique(shown)) <= {0, 50, 100, 150, 114}
    assert len(np.unique(shown)) >= 4


def test_parts_stay_unchanged():
    sample = mixed(1, 4)
    before = deepcopy(sample)
    MosaicAffine(img_scale=SIZE).transform(sample)
    for old, new in zip([before, *before['mix_results']], [sample, *sample['mix_results']], strict=True):
        assert np.array_equal(old['img'], new['img']) and torch.equal(old['gt_bboxes'].tensor, new['gt_bboxes'].tensor)
        assert torch.equal(old['gt_bboxes'].regions, new['gt_bboxes'].regions)


@pytest.mark.parametrize('affine', [dict(max_rotate_degree=10.0), dict(max_shear_degree=5.0)])
def test_turned_images_go_the_two_steps(affine):
    sample = mixed(5, 3)
    one, two = run([MosaicAffine(img_scale=SIZE, **affine)], sample, 7), run(two_steps(**affine), sample, 7)
    assert np.array_equal(one['img'], two['img'])
    assert torch.equal(one['gt_bboxes'].tensor, two['gt_bboxes'].tensor)


def test_ends_of_a_large_image_are_not_darkened():
    sample = mixed(2, 0)
    for each in [sample, *sample['mix_results']]:
        each['img'] = np.full((300, 400, 3), 200, np.uint8)
    shown = run([MosaicAffine(img_scale=SIZE, scaling_ratio_range=(1.0, 1.0))], sample, 4)['img']
    assert set(np.unique(shown)) <= {114, 200}
