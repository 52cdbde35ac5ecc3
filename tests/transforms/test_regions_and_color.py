"""The two plain baselines, the colour jitter and the check of pipelines."""

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose, RandomChoice
from mmdet.datasets import transforms as mmdet_transforms

from mmleuk.errors import UserError
from mmleuk.structures import CellBoxes
from mmleuk.transforms import (
    BlankOutsideRegions,
    CropToRegion,
    HSVJitter,
    LoadCellAnnotations,
    MixUp,
    PackCells,
    RandomAffine,
    check_pipeline_moves_regions,
)


@pytest.fixture
def results():
    image = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3).astype(np.uint8)
    boxes = CellBoxes([[5., 5., 9., 9.], [8., 8., 20., 20.], [14., 4., 20., 8.]], attributes=[[0], [1], [2]],
                      regions=[[4., 3., 16., 10.4]])
    return dict(img=image, img_shape=(20, 30), gt_bboxes=boxes, gt_bboxes_labels=np.arange(3),
                gt_ignore_flags=np.array([True, False, False]))


def test_blanking_keeps_only_the_region(results):
    image = results['img'].copy()
    blank = BlankOutsideRegions()(dict(results))
    expected = np.full_like(image, 114)
    expected[3:10, 4:16] = image[3:10, 4:16]
    assert (blank['img'] == expected).all() and (results['img'] == image).all()
    assert blank['gt_bboxes_labels'].tolist() == blank['gt_bboxes'].attributes.flatten().tolist() == [0]
    assert blank['gt_ignore_flags'].tolist() == [True]
    assert blank['gt_bboxes'].regions.tolist() == [[0, 0, 30, 20]]


def test_blanking_where_nothing_is_known(results):
    results['gt_bboxes'].regions = torch.zeros(0, 4)
    blank = BlankOutsideRegions(pad_val=7)(results)
    assert (blank['img'] == 7).all() and len(blank['gt_bboxes']) == 0


def test_cropping_moves_and_clips(results):
    results['gt_bboxes'].tensor[2] = torch.tensor([12., 4., 18., 8.])
    cut = CropToRegion()(dict(results))
    assert (cut['img'] == results['img'][3:10, 4:16]).all() and cut['img_shape'] == (7, 12)
    assert cut['gt_bboxes'].tensor.tolist() == [[1, 2, 5, 6], [8, 1, 12, 5]]
    assert cut['gt_bboxes'].attributes.flatten().tolist() == cut['gt_bboxes_labels'].tolist() == [0, 2]
    assert cut['gt_bboxes'].regions.tolist() == [[0, 0, 12, 7]]
    assert results['gt_bboxes'].regions[0].tolist() == pytest.approx([4, 3, 16, 10.4])


@pytest.mark.parametrize('transform, expected', [
    (BlankOutsideRegions(), [14, 4, 20, 8]), (CropToRegion(), [10, 1, 12, 5])])
def test_ignored_boxes_stay_where_they_reach_into_the_region(results, transform, expected):
    """The centre of the third lies outside; without it, what shows of it would be background."""
    results['gt_ignore_flags'] = np.array([False, False, True])
    out = transform(results)
    assert out['gt_bboxes_labels'].tolist() == [0, 2] and out['gt_ignore_flags'].tolist() == [False, True]
    assert out['gt_bboxes'].tensor[1].tolist() == expected


def test_an_ignored_box_that_hardly_shows_stays(results):
    """RandomAffine drops cells of which less than a tenth shows; the rest of a crowd is no background for that."""
    shift = RandomAffine(max_rotate_degree=0, max_translate_ratio=0, scaling_ratio_range=(1, 1), max_shear_degree=0)
    shift._get_random_homography_matrix = lambda height, width: np.array([[1, 0, -8.8], [0, 1, 0], [0, 0, 1.]])
    results['gt_bboxes'].tensor[1] = torch.tensor([0., 0., 9.1, 20.])
    results['gt_ignore_flags'] = np.array([False, True, False])
    assert shift(dict(results))['gt_bboxes_labels'].tolist() == [1, 2]
    results['gt_ignore_flags'][1] = False
    assert shift(dict(results))['gt_bboxes_labels'].tolist() == [2]


def test_cropping_draws_one_of_several_regions(results):
    results['gt_bboxes'].regions = torch.tensor([[0., 0., 5., 5.], [10., 10., 20., 18.], [7., 7., 7.3, 9.]])
    shapes = set()
    for seed in range(20):
        np.random.seed(seed)
        shapes.add(CropToRegion()(dict(results))['img_shape'])
    assert shapes == {(5, 5), (8, 10)}          # never the one that holds no pixel


def test_cropping_without_region_asks_for_another_image(results):
    results['gt_bboxes'].regions = torch.zeros(0, 4)
    assert CropToRegion()(results) is None


def test_jitter_without_gain_keeps_colours_up_to_rounding():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    before = image.copy()
    jittered = HSVJitter(hue=0, saturation=0, value=0)(dict(img=image))['img']
    assert np.abs(jittered.astype(int) - image).max() <= 6 and (image == before).all()


def test_jitter_multiplies_the_value():
    jitter = HSVJitter()
    jitter._random_factors = lambda: np.array([1, 1, 0.5])
    image = np.array([[[200, 100, 50], [255, 255, 255], [0, 0, 0]]], dtype=np.uint8)
    assert jitter(dict(img=image))['img'].tolist() == [[[100, 50, 25], [127, 127, 127], [0, 0, 0]]]


def test_jitter_stays_within_its_gains_and_follows_the_seed():
    jitter = HSVJitter()
    factors = np.array([jitter._random_factors() for _ in range(200)])
    assert (np.abs(factors - 1).max(0) <= [0.015, 0.7, 0.4]).all()
    assert (np.abs(factors - 1).max(0) >= [0.013, 0.6, 0.35]).all()
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    outputs = []
    for _ in range(2):
        np.random.seed(1)
        outputs.append(jitter(dict(img=image))['img'])
    assert (outputs[0] == outputs[1]).all() and (outputs[0] != image).any()


@pytest.mark.parametrize('image', [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8)])
def test_jitter_refuses_other_images(image):
    with pytest.raises(UserError, match='uint8 image'):
        HSVJitter()(dict(img=image))


def test_jitter_refuses_other_gains():
    with pytest.raises(UserError, match=r'gains have to lie in \[0, 1\]'):
        HSVJitter(hue=5)


@pytest.mark.parametrize('config, message', [
    (dict(type='RandomAffine'), 'use mmleuk.RandomAffine'),
    (dict(type='mmdet.MixUp'), 'use mmleuk.MixUp'),
    (dict(type='CachedMixUp'), 'use mmleuk.MixUp'),
    (dict(type='MinIoURandomCrop'), 'leaves regions behind in images without cells; use RandomCrop'),
    (dict(type='RandomErasing', n_patches=1, ratio=0.1), 'drops regions and attributes; use CutOut'),
    (dict(type='PackDetInputs'), 'use mmleuk.PackCells'),
    (dict(type=mmdet_transforms.LoadAnnotations, with_bbox=True), 'use mmleuk.LoadCellAnnotations'),
    (dict(type='RandomChoice', transforms=[[dict(type='RandomFlip')], [dict(type='MixUp')]]), 'use mmleuk.MixUp'),
    (mmdet_transforms.RandomAffine(), 'use mmleuk.RandomAffine'),
    (RandomChoice(transforms=[[mmdet_transforms.PackDetInputs()]]), 'use mmleuk.PackCells'),
])
def test_check_finds_what_leaves_regions_behind(config, message):
    good = dict(type='mmleuk.LoadCellAnnotations')
    with pytest.raises(UserError, match=message):
        check_pipeline_moves_regions([good, config])


def test_check_accepts_ours():
    pipeline = [LoadCellAnnotations(), MixUp(), RandomAffine(), mmdet_transforms.RandomFlip(prob=0.5), PackCells()]
    check_pipeline_moves_regions(pipeline)
    check_pipeline_moves_regions(Compose(pipeline))
    check_pipeline_moves_regions([dict(type='mmleuk.Mosaic', img_scale=(32, 32)), dict(type='Resize', scale=(3, 3))])
    with pytest.raises(UserError):
        check_pipeline_moves_regions(Compose([*pipeline, mmdet_transforms.PackDetInputs()]))
