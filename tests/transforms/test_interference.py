"""Interference factors: boxes follow the pixels, attributes the boxes, and the seed decides everything."""

import copy

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes, points_in_regions
from mmleuk.transforms.interference import FACTORS, IncompleteCells, OverlappingCells, Scene, cut_donors
from mmleuk.transforms.interference.placing import box_ious, covered_shares, place_beside

seeds = st.integers(0, 2 ** 31 - 1)
EMPTY = 230


def grid_scene(seed=0, rows=2, columns=3, side=60, regions=None, rectangles=False):
    """Cells on a grid, each of its own grey value; attribute 0 is its number, attribute 1 its class."""
    rng = np.random.default_rng(seed)
    image = np.full((rows * side, columns * side, 3), EMPTY, np.uint8)
    boxes = []
    for number in range(rows * columns):
        width, height = rng.integers(side // 2, side - 10, 2).tolist()
        left = number % columns * side + int(rng.integers(4, side - width - 4))
        top = number // columns * side + int(rng.integers(4, side - height - 4))
        grey = (int(20 + number * 15),) * 3
        if rectangles:
            image[top:top + height, left:left + width] = grey
        else:
            centre, axes = (left + width // 2, top + height // 2), (width // 2 - 1, height // 2 - 1)
            cv2.ellipse(image, centre, axes, 0, 0, 360, grey, -1)
        boxes.append([left, top, left + width, top + height])
    count = len(boxes)
    labels = np.arange(count) % 2
    whole = [[0, 0, columns * side, rows * side]]
    cells = CellBoxes(np.array(boxes, np.float32), attributes=np.stack([np.arange(count), labels], 1),
                      regions=np.array(whole if regions is None else regions, np.float32).reshape(-1, 4))
    return Scene(image, cells, labels, np.zeros(count, bool))


def empty_scene():
    image = np.random.default_rng(0).integers(200, 240, (50, 60, 3), dtype=np.uint8)
    return Scene(image, CellBoxes(np.zeros((0, 4), np.float32), attributes=np.zeros((0, 2)), regions=[[0., 0, 60, 50]]),
                 np.zeros(0, np.int64), np.zeros(0, bool))


def as_results(scene, name='film.png'):
    return dict(img=scene.image, img_path=f'films/{name}', img_shape=scene.image_hw, gt_bboxes=scene.boxes,
                gt_bboxes_labels=scene.labels, gt_ignore_flags=scene.ignored)


def equal(one, other):
    boxes, others = one['gt_bboxes'], other['gt_bboxes']
    return (np.array_equal(one['img'], other['img']) and torch.equal(boxes.tensor, others.tensor)
            and torch.equal(boxes.attributes, others.attributes) and torch.equal(boxes.regions, others.regions)
            and np.array_equal(one['gt_bboxes_labels'], other['gt_bboxes_labels']))


@pytest.mark.parametrize('factor', FACTORS)
def test_the_seed_decides_and_inputs_are_only_read(factor):
    kind = f'mmleuk.{FACTORS[factor].__name__}'
    results = as_results(grid_scene())
    before = copy.deepcopy(results)
    first, second = (TRANSFORMS.build(dict(type=kind, seed=3))(dict(results)) for _ in range(2))
    assert equal(first, second) and equal(results, before)
    assert not equal(first, results)
    assert not equal(first, TRANSFORMS.build(dict(type=kind, seed=4))(dict(results)))
    assert not equal(first, TRANSFORMS.build(dict(type=kind, seed=3))(as_results(grid_scene(), 'other.png')))
    elsewhere = dict(results, img_path='/another/place/film.png')
    assert equal(first, TRANSFORMS.build(dict(type=kind, seed=3))(elsewhere))
    np.random.seed(5)
    drawn = TRANSFORMS.build(dict(type=kind))(dict(results))
    np.random.seed(5)
    assert equal(drawn, TRANSFORMS.build(dict(type=kind))(dict(results)))


@pytest.mark.parametrize('factor', FACTORS)
def test_pictures_without_cells(factor):
    scene = empty_scene()
    changed = TRANSFORMS.build(dict(type=FACTORS[factor], seed=0))(as_results(scene))
    assert len(changed['gt_bboxes']) == 0 and changed['gt_bboxes'].attributes.shape == (0, 2)
    assert changed['img'].shape == scene.image.shape
    assert np.array_equal(changed['img'], scene.image) == FACTORS[factor].needs_cells


@pytest.mark.parametrize('factor', [name for name, kind in FACTORS.items() if not kind.needs_cells])
def test_cells_stay_where_nothing_moves_and_none_are_needed(factor):
    transform = TRANSFORMS.build(dict(type=FACTORS[factor], seed=0))
    results = as_results(grid_scene())
    changed = transform(dict(results))
    assert torch.equal(changed['gt_bboxes'].tensor, results['gt_bboxes'].tensor)
    assert changed['gt_bboxes_labels'].tolist() == results['gt_bboxes_labels'].tolist()
    assert changed['img'].shape == results['img'].shape and changed['img'].dtype == np.uint8
    assert set(transform(dict(img=results['img'], img_path='a.png'))) >= {'img', 'img_shape'}


@pytest.mark.parametrize('factor', [name for name, kind in FACTORS.items() if kind.needs_cells])
def test_moving_cells_needs_cells(factor):
    with pytest.raises(UserError, match='put mmleuk.LoadCellAnnotations before it'):
        FACTORS[factor](seed=0)(dict(img=grid_scene().image))


def test_floats_are_refused():
    with pytest.raises(UserError, match=r'Defocus needs a \(H, W, 3\) uint8 image'):
        FACTORS['defocus']()(dict(img=np.zeros((4, 4, 3), np.float32)))


# ---- cells at the border


@given(seed=seeds)
@settings(max_examples=25)
def test_cut_cells_keep_tight_boxes(seed):
    """Every cell is a rectangle of its own grey: its pixels in the crop are its box, its attributes its grey."""
    scene = grid_scene(seed, rectangles=True)
    changed = IncompleteCells(labels=(1,)).interfere(scene, np.random.default_rng(seed))
    height, width = changed.image_hw
    assert (height, width) != scene.image_hw and height * width >= 0.29 * scene.image[..., 0].size
    found = {}
    for grey in np.unique(changed.image):
        rows, columns = np.nonzero(changed.image[..., 0] == grey)
        found[int(grey)] = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    del found[EMPTY]
    for index, (number, label) in enumerate(changed.boxes.attributes.tolist()):
        assert label == changed.labels[index]
        assert changed.boxes.tensor[index].tolist() == found.pop(20 + number * 15)
        share = float(changed.boxes.areas[index] / scene.boxes.areas[number])
        assert changed.ignored[index] == (share < 0.2)
        assert changed.affected[index] == (0.2 <= share < 0.75)
    for box in found.values():          # left out only as slivers
        assert min(box[2] - box[0], box[3] - box[1]) < 3
    cut = [index for index in np.flatnonzero(changed.affected) if changed.labels[index] == 1]
    shares = [float(changed.boxes.areas[p] / scene.boxes.areas[changed.boxes.attributes[p, 0]]) for p in cut]
    assert any(0.2 <= share <= 0.55 for share in shares)      # 0.25 to 0.5, but for whole pixels


@given(seed=seeds)
@settings(max_examples=20)
def test_regions_move_with_the_crop(seed):
    region = [30, 20, 150, 90]
    scene = grid_scene(seed, regions=[region])
    scene.image[:] = 0
    scene.image[region[1]:region[3], region[0]:region[2]] = 255
    changed = IncompleteCells().interfere(scene, np.random.default_rng(seed))
    y, x = np.mgrid[:changed.image_hw[0], :changed.image_hw[1]] + 0.5
    inside = points_in_regions(torch.tensor(np.stack([x, y], -1)), changed.boxes.regions).numpy()
    assert (inside == (changed.image[..., 0] == 255)).all()


def test_dropping_instead_of_ignoring():
    scene = grid_scene(3, rectangles=True)
    for seed in range(20):
        kept = IncompleteCells(min_visible=0.25).interfere(scene, np.random.default_rng(seed))
        dropped = IncompleteCells(min_visible=0.25, remainder='drop').interfere(scene, np.random.default_rng(seed))
        assert dropped.boxes.attributes.tolist() == kept.boxes.attributes[torch.from_numpy(~kept.ignored)].tolist()
        assert not dropped.ignored.any()


# ---- overlapping cells


@given(seed=seeds)
@settings(max_examples=12)
def test_laid_cells_overlap_as_wanted(seed):
    scene = grid_scene(seed)
    changed = OverlappingCells(iou=(0.1, 0.25), share=0.5).interfere(scene, np.random.default_rng(seed))
    if changed is None:
        return
    added = changed.corners[6:]
    assert 1 <= len(added) <= 3
    assert torch.equal(changed.boxes[:6].tensor, scene.boxes.tensor)
    assert torch.equal(changed.boxes.regions, scene.boxes.regions)
    for index, box in enumerate(added):
        number, label = changed.boxes.attributes[6 + index].tolist()
        donor = scene.corners[number]
        assert label == changed.labels[6 + index] == scene.labels[number]
        assert sorted(box[2:] - box[:2]) == sorted(donor[2:] - donor[:2])           # turned, not resized
        ious = box_ious(box, np.delete(changed.corners, 6 + index, 0))
        assert 0.1 <= ious.max() <= 0.25
        assert (box >= 0).all() and (box[2:] <= changed.image_hw[::-1]).all()
    assert changed.affected[6:].all() and changed.affected[:6].sum() <= len(added)
    outside = np.ones(scene.image_hw, bool)
    for x0, y0, x1, y1 in added.astype(int):
        outside[y0:y1, x0:x1] = False
    assert (np.abs(changed.image.astype(int) - scene.image)[outside] <= 1).all()


def test_a_laid_cell_fills_its_box():
    """The laid cell's dark pixels on the empty film reach to the four sides of its box."""
    scene = grid_scene(5)
    for seed in range(10):
        changed = OverlappingCells(share=0.0).interfere(scene, np.random.default_rng(seed))
        x0, y0, x1, y1 = changed.corners[6].astype(int)
        new = (changed.image.astype(int) - scene.image).min(-1) < -20
        rows, columns = np.nonzero(new | (scene.image[..., 0] < 200))
        inside = (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
        reached = [columns[inside].min() - x0, rows[inside].min() - y0, x1 - 1 - columns[inside].max(),
                   y1 - 1 - rows[inside].max()]
        assert max(reached) <= 3, reached


def test_only_these_classes_and_only_in_known_places():
    scene = grid_scene(1, regions=[[0, 0, 90, 120]])
    for seed in range(10):
        changed = OverlappingCells(labels=(1,), share=1.0).interfere(scene, np.random.default_rng(seed))
        if changed is not None:
            assert (changed.labels[6:] == 1).all() and (changed.labels[changed.affected] == 1).all()
            assert points_in_regions(changed.boxes.centers[6:], changed.boxes.regions).all()
    nowhere = grid_scene(1, regions=[])
    assert OverlappingCells().interfere(nowhere, np.random.default_rng(0)) is None
    assert OverlappingCells(labels=(7,)).interfere(scene, np.random.default_rng(0)) is None


def test_donors_are_whole_cells():
    scene = grid_scene(2)
    cut = scene.boxes.tensor.clone()
    cut[0, :2] = 0
    moved = Scene(scene.image, CellBoxes(cut, attributes=scene.boxes.attributes), scene.labels,
                  np.arange(6) == 1)
    assert [int(donor.attributes[0]) for donor in cut_donors(moved)] == [2, 3, 4, 5]
    assert [donor.label for donor in cut_donors(moved, (1,))] == [1, 1]


@given(st.floats(8, 80), st.floats(8, 80), st.integers(8, 80), st.integers(8, 80), st.floats(0.05, 0.4),
       st.floats(0, 6.3))
@settings(max_examples=50)
def test_boxes_are_placed_at_the_wanted_iou(width, height, donor_width, donor_height, iou, angle):
    cell = np.array([50., 60., 50 + width, 60 + height])
    corner = place_beside(cell, (donor_width, donor_height), iou, angle)
    middle = (cell[:2] + cell[2:]) / 2
    half = np.array([donor_width, donor_height]) / 2
    lying_on = box_ious(np.concatenate([middle - half, middle + half]), cell[None])[0]
    if corner is None:
        assert lying_on < iou
        return
    box = np.array([*corner, corner[0] + donor_width, corner[1] + donor_height], float)
    tolerance = 1.5 * (1 / min(width, donor_width) + 1 / min(height, donor_height))    # of whole pixels
    assert abs(box_ious(box, cell[None])[0] - iou) <= tolerance


def test_iou_and_cover_by_hand():
    others = np.array([[5., 0, 15, 10], [20, 20, 30, 30], [0, 0, 10, 10]])
    assert box_ious(np.array([0., 0, 10, 10]), others).tolist() == [1 / 3, 0, 1]
    assert covered_shares(np.array([0., 0, 10, 5]), others).tolist() == [0.25, 0, 0.5]
    assert box_ious(np.array([0., 0, 10, 10]), np.zeros((0, 4))).shape == (0,)


# ---- impurities


@given(seed=seeds)
@settings(max_examples=8)
def test_impurities_darken_their_boxes_and_hide_no_cell(seed):
    scene = grid_scene(seed, side=90)
    scene.image[scene.image < EMPTY] = 150
    changed = FACTORS['impurities']().interfere(scene, np.random.default_rng(seed))
    assert 1 <= len(changed.impurities) <= 10 and not changed.affected.any()
    hidden = sum(covered_shares(box, scene.corners) for box in changed.impurities)
    assert hidden.max() <= 0.25
    darker = (changed.image.astype(int) - scene.image).min(-1) < -12
    assert (changed.image.astype(int) <= scene.image.astype(int) + 1).all()
    for x0, y0, x1, y1 in changed.impurities.astype(int):
        assert 0 <= x0 < x1 <= scene.image_hw[1] and 0 <= y0 < y1 <= scene.image_hw[0]
        assert darker[y0:y1, x0:x1].any()
    near = np.zeros(scene.image_hw, bool)
    for x0, y0, x1, y1 in changed.impurities.astype(int):
        near[max(y0 - 25, 0):y1 + 25, max(x0 - 25, 0):x1 + 25] = True
    assert not darker[~near].any()


@pytest.mark.parametrize(('factor', 'arguments', 'message'), [
    ('over_staining', dict(gain=(0.5, 2)), r'OverStaining: gain is \(0.5, 2\)'),
    ('pale_staining', dict(share=(0.9, 0.5)), 'PaleStaining: share'),
    ('defocus', dict(radius=(0, 0.1)), 'Defocus: radius'),
    ('incomplete_cells', dict(visible=(0.5, 1.5)), 'IncompleteCells: visible'),
    ('incomplete_cells', dict(min_visible=0.4), 'min_visible is 0.4'),
    ('incomplete_cells', dict(remainder='keep'), "remainder is 'keep'"),
    ('overlapping_cells', dict(iou=(0, 0.5)), 'OverlappingCells: iou'),
    ('overlapping_cells', dict(share=2), 'OverlappingCells: share'),
    ('impurities', dict(count=(0, 3)), 'Impurities: count'),
    ('impurities', dict(kinds=('dust', 'hair')), 'known are precipitate, dust')])
def test_bad_arguments(factor, arguments, message):
    with pytest.raises(UserError, match=message):
        FACTORS[factor](**arguments)
