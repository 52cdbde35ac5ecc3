"""Changes of a quarter: details are lost, and cells stay in a crop."""

import numpy as np
import pytest

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes
from mmleuk.testing.samples import tiny_results
from mmleuk.transforms import CropAroundCells, Downscale


def test_downscale_loses_details_but_no_size():
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    np.random.seed(0)
    changed = Downscale(scale=(0.5, 0.5), prob=1.0)(dict(img=image))['img']
    assert changed.shape == image.shape
    assert len(np.unique(changed.reshape(-1, 3), axis=0)) <= 15 * 20 < len(np.unique(image.reshape(-1, 3), axis=0))
    assert (Downscale(scale=(1.0, 1.0), prob=1.0)(dict(img=image))['img'] == image).all()
    assert (Downscale(prob=0.0)(dict(img=image))['img'] == image).all()


@pytest.mark.parametrize('seed', range(6))
def test_a_crop_keeps_all_cells_but_for_the_erosion(seed):
    results = tiny_results(np.random.default_rng(seed), annotation='complete')
    before, image = results['gt_bboxes'].tensor.clone(), results['img'].copy()
    np.random.seed(seed)
    cropped = CropAroundCells(prob=1.0, erosion=0.1)(dict(results))
    height, width = cropped['img'].shape[:2]
    assert cropped['img_shape'] == (height, width) and len(cropped['gt_bboxes']) == len(before)
    boxes = cropped['gt_bboxes'].tensor
    assert (boxes >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    frame = (before[:, 2:].amax(0) - before[:, :2].amin(0)) * 0.8
    assert width >= int(frame[0]) and height >= int(frame[1])
    assert (results['gt_bboxes'].tensor == before).all() and (results['img'] == image).all()
    for cell, moved in zip(before, boxes):  # the same pixels
        if (moved[2:] - moved[:2] == cell[2:] - cell[:2]).all():
            x1, y1, x2, y2 = cell.int().tolist()
            a1, b1, a2, b2 = moved.int().tolist()
            assert (image[y1:y2, x1:x2] == cropped['img'][b1:b2, a1:a2]).all()


def test_a_cell_that_the_erosion_cuts_off_is_dropped():
    """The frame is 380 px wide and loses up to 38 px at each side; the outer cells are 20 px wide."""
    cells = CellBoxes([[10., 40, 30, 60], [200., 10, 220, 30], [370., 70, 390, 90]], attributes=[[1], [2], [3]])
    kept = set()
    for seed in range(6):
        np.random.seed(seed)
        cropped = CropAroundCells(prob=1.0, erosion=0.1)(dict(
            img=np.zeros((100, 400, 3), np.uint8), img_shape=(100, 400), gt_bboxes=cells,
            gt_bboxes_labels=np.arange(1, 4), gt_ignore_flags=np.zeros(3, bool)))
        boxes, labels = cropped['gt_bboxes'], cropped['gt_bboxes_labels']
        assert (boxes.tensor[:, 2:] > boxes.tensor[:, :2]).all() and boxes.attributes.flatten().tolist() == list(labels)
        kept.add(len(labels))
    assert min(kept) < 3


def test_nothing_to_crop_around():
    results = tiny_results(np.random.default_rng(0), num_cells=0)
    assert CropAroundCells(prob=1.0)(results)['img'].shape == results['img'].shape


@pytest.mark.parametrize('config', [
    dict(type='mmleuk.Downscale', scale=(0.9, 0.5)), dict(type='mmleuk.Downscale', scale=(0, 1)),
    dict(type='mmleuk.CropAroundCells', erosion=0.5)])
def test_bad_arguments(config):
    with pytest.raises(UserError):
        TRANSFORMS.build(config)
