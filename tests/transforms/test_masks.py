"""Masks stay in step with their cells through every transform and every keep step, or are refused."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets import transforms as mmdet_transforms
from mmdet.structures.mask import BitmapMasks

from mmleuk.errors import UserError
from mmleuk.structures import CellBoxes
from mmleuk.testing import random_record, tiny_results
from mmleuk.transforms import (
    BlankOutsideRegions,
    CropCell,
    CropToRegion,
    IncompleteCells,
    LoadCellAnnotations,
    MixUp,
    Mosaic,
    MosaicAffine,
    PackCells,
    RandomAffine,
    RegionMosaic,
)

TRANSFORM = {
    'mosaic': partial(Mosaic, img_scale=(40, 40)),
    'region mosaic': partial(RegionMosaic, img_scale=(80, 80)),
    'affine': RandomAffine,
    'crop to region': CropToRegion,
    'blank': BlankOutsideRegions,
    'crop': partial(mmdet_transforms.RandomCrop, crop_size=(30, 30), allow_negative_crop=True),
    'resize': partial(mmdet_transforms.Resize, scale=(50, 50), keep_ratio=True),
    'flip': partial(mmdet_transforms.RandomFlip, prob=0.5),
    'filter': partial(mmdet_transforms.FilterAnnotations, min_gt_bbox_wh=(8, 8), keep_empty=False),
    'pad': partial(mmdet_transforms.Pad, size=(128, 128)),
}


def with_masks(rng, **options):
    """Results whose masks are the cells' boxes, filled."""
    results = tiny_results(rng, **options)
    height, width = results['img'].shape[:2]
    masks = np.zeros((len(results['gt_bboxes']), height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, results['gt_bboxes'].tensor.round().int().tolist()):
        mask[y1:y2, x1:x2] = 1
    return results | dict(gt_masks=BitmapMasks(masks, height, width))


def assert_masks_fill_their_boxes(results, slack=2.0):
    """Each mask covers its own box, to the pixels that rounding costs."""
    masks, boxes = results['gt_masks'], results['gt_bboxes'].tensor
    assert len(masks) == len(boxes) == len(results['gt_bboxes_labels']) == len(results['gt_ignore_flags'])
    assert (masks.height, masks.width) == results['img'].shape[:2]
    clipped = CellBoxes(boxes)
    clipped.clip_(results['img'].shape[:2])
    for mask, box in zip(masks.masks, clipped.tensor):
        if (box[2:] - box[:2]).min() > slack:  # of what is thinner than a pixel nothing need be left
            y, x = np.nonzero(mask)
            found = torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1])
            assert (found - box).abs().max() <= slack


@pytest.mark.parametrize('name', TRANSFORM)
@pytest.mark.parametrize('annotation', ['complete', 'sparse'])
@given(seed=st.integers(0, 2 ** 31 - 1), counts=st.tuples(*[st.integers(0, 5)] * 4))
@settings(max_examples=12, deadline=None)
def test_one_transform(name, annotation, seed, counts):
    rng = np.random.default_rng(seed)
    np.random.seed(seed % 2 ** 32)
    parts = [with_masks(rng, num_cells=count, annotation=annotation) for count in counts]
    results = TRANSFORM[name]()(parts[0] | dict(mix_results=parts[1:]))
    if results is None:
        return  # nothing to cut out, or no cell left
    if name == 'blank' and annotation == 'sparse':  # a cell that sticks out of its region is painted over there
        known = (results['img'] != 114).any(2)
        assert all((mask <= known).all() for mask in results['gt_masks'].masks)
        assert len(results['gt_masks']) == len(results['gt_bboxes'])
    else:
        assert_masks_fill_their_boxes(results)


@given(seed=st.integers(0, 2 ** 31 - 1), kinds=st.permutations(['affine', 'crop', 'resize', 'flip', 'filter', 'pad']))
@settings(max_examples=20, deadline=None)
def test_a_chain_down_to_the_sample(seed, kinds):
    rng = np.random.default_rng(seed)
    np.random.seed(seed % 2 ** 32)
    parts = [with_masks(rng, num_cells=4, annotation='complete', ignored=0.3) for _ in range(4)]
    results = Mosaic(img_scale=(40, 40))(parts[0] | dict(mix_results=parts[1:]))
    for kind in kinds:
        results = TRANSFORM[kind]()(results)
        if results is None:
            return
    assert_masks_fill_their_boxes(results, slack=4.0)
    sample = PackCells()(results)['data_samples']
    for instances in (sample.gt_instances, sample.ignored_instances):
        assert len(instances.masks) == len(instances.bboxes)


def test_a_turned_mask_turns_with_its_cell():
    """The mask's pixels move, not its box: a disc turned by 45 degrees stays a disc within its grown box."""
    y, x = np.mgrid[:60, :60] - 29.5
    disc = ((x - 10) ** 2 + y ** 2 < 64).astype(np.uint8)
    results = dict(img=np.zeros((60, 60, 3), np.uint8), gt_bboxes=CellBoxes([[32.0, 22, 48, 38]]),
                   gt_bboxes_labels=np.zeros(1, int), gt_ignore_flags=np.zeros(1, bool),
                   gt_masks=BitmapMasks(disc[None], 60, 60))
    turn = RandomAffine(max_translate_ratio=0, scaling_ratio_range=(1, 1), max_rotate_degree=45)
    turn._get_random_homography_matrix = lambda height, width: np.array(
        [[0.0, -1, 60], [1, 0, 0], [0, 0, 1]])  # a quarter turn
    turned = turn(results)
    assert turned['gt_bboxes'].tensor.tolist() == [[22, 32, 38, 48]]
    assert (turned['gt_masks'].masks[0] == np.rot90(disc, -1)).all()


def test_a_crop_of_a_cell_has_its_mask():
    mask = np.zeros((1, 40, 40), np.uint8)
    mask[0, 12:16, 0:6] = 1
    results = dict(img=np.zeros((40, 40, 3), np.uint8), gt_bboxes=CellBoxes([[0.0, 10, 8, 18]]),
                   gt_masks=BitmapMasks(mask, 40, 40))
    cut = CropCell(size=32, margin=0.5)(results)['gt_masks'].masks[0]  # 16 x 16 from (-4, 6), twice as large
    expected = np.zeros((32, 32), np.uint8)
    expected[12:20, 8:20] = 1
    assert (cut == expected).all()


def test_what_moves_no_masks_refuses_them():
    rng = np.random.default_rng(0)
    first, second = (with_masks(rng, annotation='complete') for _ in range(2))
    with pytest.raises(UserError, match='mmleuk.MixUp .*moves no masks'):
        MixUp(img_scale=(40, 40))(first | dict(mix_results=[second]))
    with pytest.raises(UserError, match='IncompleteCells .*moves no masks'):
        IncompleteCells(seed=1)(with_masks(rng, num_cells=5, annotation='complete', height=200, width=200))
    del second['gt_masks']
    with pytest.raises(UserError, match='with and without masks'):
        Mosaic(img_scale=(40, 40))(first | dict(mix_results=[second] * 3))


@pytest.mark.parametrize('kind', [Mosaic, MosaicAffine, RegionMosaic])
def test_mosaics_refuse_masks_of_parts(kind):
    """They would keep the first image's, at its own size."""
    rng = np.random.default_rng(0)
    parts = [tiny_results(rng) | dict(gt_seg_map=np.zeros((64, 80), np.uint8)) for _ in range(4)]
    with pytest.raises(UserError, match='not the mask of their parts'):
        kind(img_scale=(40, 40))(parts[0] | dict(mix_results=parts[1:]))


def test_masks_that_fell_out_of_step_are_refused():
    """MMDetection's Mosaic knows no masks."""
    rng = np.random.default_rng(0)
    parts = [with_masks(rng, annotation='complete') for _ in range(4)]
    mixed = mmdet_transforms.Mosaic(img_scale=(40, 40))(parts[0] | dict(mix_results=parts[1:]))
    with pytest.raises(UserError, match='film.png: 5 masks of 64x80 px came with .* a transform moved the cells'):
        PackCells()(mixed)


def test_records_without_masks_are_named():
    with pytest.raises(UserError, match='image film.png: cell 0 has no mask'):
        LoadCellAnnotations(with_mask=True)(random_record(np.random.default_rng(0), annotation='complete'))
