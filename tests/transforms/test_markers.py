"""Regions move exactly with the image: transform an image that is 255 where it is known, and compare pixel by pixel.

Cells are tracked by unclipped centres in a second box object whose labels are their numbers.
"""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmdet.datasets import transforms as mmdet_transforms

from mmleuk.structures import CellBoxes, points_in_regions
from mmleuk.transforms import MixUp, Mosaic, RandomAffine

KNOWN = 255
seeds = st.integers(0, 2 ** 31 - 1)
sides = st.integers(16, 48)


def marked(rng, height, width, num_cells=6, num_regions=None, attributes=2):
    """Results whose pixels are 255 exactly in whole-pixel regions; a cell's first attribute tells if it is inside."""
    num_regions = rng.integers(0, 3) if num_regions is None else num_regions
    image = np.zeros((height, width, 3), np.uint8)
    regions = np.zeros((num_regions, 4))
    for region in regions:
        region[[0, 2]] = np.sort(rng.choice(width + 1, 2, replace=False))
        region[[1, 3]] = np.sort(rng.choice(height + 1, 2, replace=False))
        x1, y1, x2, y2 = region.astype(int)
        image[y1:y2, x1:x2] = KNOWN
    corner = rng.uniform(0, 0.7, (num_cells, 2)) * (width, height)
    tensor = np.concatenate([corner, corner + rng.uniform(0.1, 0.3, (num_cells, 2)) * (width, height)], 1)
    boxes = CellBoxes(tensor.astype(np.float32), regions=regions.astype(np.float32))
    inside = points_in_regions(boxes.centers, boxes.regions)
    boxes.attributes = torch.stack([inside.long(), torch.arange(num_cells)], 1)[:, :attributes]
    return dict(img=image, img_shape=(height, width), gt_bboxes=boxes, gt_bboxes_labels=np.arange(num_cells),
                gt_ignore_flags=np.arange(num_cells) % 2 == 0)


def seen_in(regions, shape, margin=0.0):
    """(H, W) bool: pixels whose centres lie in a region that is ``margin`` smaller on each side."""
    y, x = np.mgrid[:shape[0], :shape[1]] + 0.5
    points = torch.tensor(np.stack([x, y], -1))
    shrunk = regions.double() + torch.tensor([1, 1, -1, -1]) * margin
    return points_in_regions(points, shrunk).numpy()


def check_pixels(results, margin, exact=True):
    """Every pixel well inside a region is known; if exact, every known pixel is inside or near a region."""
    known = results['img'][..., 0] == KNOWN
    regions = results['gt_bboxes'].regions
    assert known[seen_in(regions, known.shape, margin)].all()
    if exact:
        assert seen_in(regions, known.shape, -margin)[known].all()


def check_cells(results, tolerance=1.0):
    """Attribute 0 tells whether the cell was inside; attribute 1 is its label."""
    boxes = results['gt_bboxes']
    assert boxes.attributes[:, 1].tolist() == results['gt_bboxes_labels'].tolist()
    assert ((results['gt_bboxes_labels'] % 2 == 0) == results['gt_ignore_flags']).all()
    height, width = results['img'].shape[:2]
    shrunk = boxes.regions + torch.tensor([1, 1, -1, -1]) * tolerance
    grown = boxes.regions - torch.tensor([1, 1, -1, -1]) * tolerance
    x, y = boxes.centers.unbind(1)
    visible = (x > 0) & (y > 0) & (x < width) & (y < height)
    was_inside = boxes.attributes[:, 0] == 1
    assert points_in_regions(boxes.centers, grown)[visible & was_inside].all()
    assert not points_in_regions(boxes.centers, shrunk)[visible & ~was_inside].any()


@given(seed=seeds, height=sides, width=sides)
def test_flips_are_exact(seed, height, width):
    results = marked(np.random.default_rng(seed), height, width)
    for direction in ('horizontal', 'vertical', 'diagonal'):
        results = mmdet_transforms.RandomFlip(prob=1.0, direction=direction)(results)
        check_pixels(results, margin=0)
        check_cells(results, tolerance=1e-3)


@given(seed=seeds, height=sides, width=sides, num_cells=st.integers(0, 6))
@settings(max_examples=60)
def test_affine_without_turning(seed, height, width, num_cells):
    np.random.seed(seed)
    results = marked(np.random.default_rng(seed), height, width, num_cells)
    check_pixels(RandomAffine(max_translate_ratio=0.3)(results), margin=1.6)


@given(seed=seeds, height=sides, width=sides)
@settings(max_examples=60)
def test_affine_cells_stay_on_their_side(seed, height, width):
    # unclipped centres: the canvas is made wider than anything can move
    np.random.seed(seed)
    results = marked(np.random.default_rng(seed), height, width)
    moved = RandomAffine(border=(100, 100), min_side=0, min_area_ratio=0)(results)
    assert len(moved['gt_bboxes']) == 6
    check_cells(moved, tolerance=1e-2)


@given(seed=seeds, height=sides, width=sides, num_cells=st.integers(0, 3))
@settings(max_examples=60)
def test_turned_and_sheared_regions_hold_only_known_pixels(seed, height, width, num_cells):
    np.random.seed(seed)
    results = marked(np.random.default_rng(seed), height, width, num_cells)
    transform = RandomAffine(max_rotate_degree=30, max_shear_degree=15, border=(20, 20))
    check_pixels(transform(results), margin=2.5, exact=False)


def mosaic_parts(rng, sizes):
    parts = [marked(rng, *size) for size in sizes]
    for number, part in enumerate(parts):
        part['gt_bboxes_labels'] += 6 * number
        part['gt_bboxes'].attributes[:, 1] += 6 * number
    return parts[0] | dict(mix_results=parts[1:])


@given(seed=seeds, sizes=st.lists(st.tuples(sides, sides), min_size=4, max_size=4))
@settings(max_examples=60)
def test_mosaic_moves_all_four(seed, sizes):
    np.random.seed(seed)
    results = Mosaic(img_scale=(32, 32), bbox_clip_border=False)(mosaic_parts(np.random.default_rng(seed), sizes))
    check_pixels(results, margin=1.6)
    check_cells(results, tolerance=1e-2)


@given(seed=seeds, sizes=st.lists(st.tuples(sides, sides), min_size=4, max_size=4))
@settings(max_examples=30)
def test_no_region_of_a_mosaic_reaches_into_a_neighbours_quarter(seed, sizes):
    """One image is known everywhere, the others nowhere: the region then lies in the pasted pixels, to the last one."""
    rng = np.random.default_rng(seed)
    for known in range(4):
        np.random.seed(seed)
        parts = [marked(rng, *size, num_regions=0) for size in sizes]
        height, width = sizes[known]
        parts[known]['img'][:] = KNOWN
        parts[known]['gt_bboxes'].regions = torch.tensor([[0., 0., width, height]])
        check_pixels(Mosaic(img_scale=(32, 32))(parts[0] | dict(mix_results=parts[1:])), margin=0)


@given(seed=seeds, sizes=st.lists(st.tuples(sides, sides), min_size=4, max_size=4), num_cells=st.integers(0, 4))
@settings(max_examples=40)
def test_mosaic_then_affine_then_flip(seed, sizes, num_cells):
    np.random.seed(seed)
    results = mosaic_parts(np.random.default_rng(seed), sizes)
    for transform in (Mosaic(img_scale=(32, 32)), RandomAffine(border=(-16, -16)),
                      mmdet_transforms.RandomFlip(prob=0.5)):
        results = transform(results)
    check_pixels(results, margin=3)
    assert results['img'].shape == (32, 32, 3)


@given(seed=seeds, first=st.tuples(sides, sides), second=st.tuples(sides, sides))
@settings(max_examples=60)
def test_mixup_knows_only_what_both_know(seed, first, second):
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    one, other = marked(rng, *first), marked(rng, *second)
    mixed = MixUp(img_scale=(32, 32), pad_val=0)(one | dict(mix_results=[other]))
    check_pixels(mixed, margin=3.5)


def test_mixup_with_an_image_without_cells_leaves_the_first_as_it_is():
    rng = np.random.default_rng(3)
    one, other = marked(rng, 32, 32, num_regions=2), marked(rng, 32, 32, num_cells=0, num_regions=1)
    before = one['gt_bboxes'].regions.clone()
    mixed = MixUp(img_scale=(32, 32))(one | dict(mix_results=[other]))
    assert torch.equal(mixed['gt_bboxes'].regions, before)


@given(seed=seeds, height=sides, width=sides, num_cells=st.integers(0, 6), side=sides)
@settings(max_examples=60)
def test_letterbox_of_resize_and_pad(seed, height, width, num_cells, side):
    scale = side, side
    results = marked(np.random.default_rng(seed), height, width, num_cells)
    results = mmdet_transforms.Resize(scale=scale, keep_ratio=True)(results)
    results = mmdet_transforms.Pad(size=scale, pad_val=dict(img=(114, 114, 114)))(results)
    assert results['img'].shape[:2] == scale
    check_pixels(results, margin=1 + 0.5 * max(results['scale_factor']))
    back = results['gt_bboxes'].tensor / torch.tensor(results['scale_factor']).repeat(2)
    original = marked(np.random.default_rng(seed), height, width, num_cells)['gt_bboxes'].tensor
    assert torch.allclose(back.float(), original, atol=1e-3)      # boxes return by scale_factor alone


@given(seed=seeds, height=sides, width=sides, num_cells=st.integers(0, 6))
@settings(max_examples=60)
def test_random_crop(seed, height, width, num_cells):
    np.random.seed(seed)
    results = marked(np.random.default_rng(seed), height, width, num_cells)
    crop = mmdet_transforms.RandomCrop(crop_size=(20, 24), allow_negative_crop=True, bbox_clip_border=False)
    results = crop(results)
    check_pixels(results, margin=0)
    check_cells(results, tolerance=1e-3)


@given(seed=seeds)
def test_mmdets_affine_moves_regions_where_there_are_boxes(seed):
    np.random.seed(seed)
    results = marked(np.random.default_rng(seed), 32, 32)
    moved = mmdet_transforms.RandomAffine(max_rotate_degree=0, max_shear_degree=0)(results)
    assume(len(moved['gt_bboxes']))
    check_pixels(moved, margin=2)


@pytest.mark.parametrize('make', [
    lambda: Mosaic(img_scale=(32, 32)), lambda: RandomAffine(max_rotate_degree=10, border=(-8, -8))])
def test_parts_are_only_read_and_seeds_decide(make):
    parts = mosaic_parts(np.random.default_rng(0), [(40, 30), (32, 32), (20, 48), (48, 20)])
    images = [part['img'].copy() for part in (parts, *parts['mix_results'])]
    boxes = parts['gt_bboxes'].clone()
    outputs = []
    for _ in range(2):
        np.random.seed(7)
        outputs.append(make()(dict(parts)))
    first, second = outputs
    assert (first['img'] == second['img']).all()
    for name in ('tensor', 'attributes', 'regions'):
        assert torch.equal(getattr(first['gt_bboxes'], name), getattr(second['gt_bboxes'], name))
        assert torch.equal(getattr(parts['gt_bboxes'], name), getattr(boxes, name))
    assert all((part['img'] == image).all() for part, image in zip((parts, *parts['mix_results']), images, strict=True))
