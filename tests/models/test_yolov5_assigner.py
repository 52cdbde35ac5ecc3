import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmleuk.models.task_modules.yolov5_assigner import BatchCells, assign_level, location_centres, locations_in_regions

ANCHORS = torch.tensor([[10., 13.], [16., 30.], [33., 23.]])


def cells_of(*rows):
    """Rows of image, label, centre x, y, width, height."""
    rows = torch.tensor(rows, dtype=torch.float32).view(-1, 6)
    return BatchCells(image=rows[:, 0].long(), label=rows[:, 1].long(), boxes=rows[:, 2:])


def places(assigned, anchor=None):
    mask = slice(None) if anchor is None else assigned.anchor == anchor
    return sorted(zip(assigned.column[mask].tolist(), assigned.row[mask].tolist()))


def loop_reference(cells, anchors, stride, grid_hw, max_ratio):
    """The method as prose: for every cell and fitting anchor, its own grid cell and the nearer neighbours."""
    height, width = grid_hw
    found = []
    for image, label, (x, y, w, h) in zip(cells.image.tolist(), cells.label.tolist(), (cells.boxes / stride).tolist()):
        for anchor, (aw, ah) in enumerate((anchors / stride).tolist()):
            if max(w / aw, aw / w, h / ah, ah / h) >= max_ratio:
                continue
            column, row = math.floor(x), math.floor(y)
            spots = [(column, row)]
            if x % 1 < 0.5 and x > 1:
                spots.append((column - 1, row))
            if y % 1 < 0.5 and y > 1:
                spots.append((column, row - 1))
            if (width - x) % 1 < 0.5 and width - x > 1:
                spots.append((column + (x % 1 != 0), row))
            if (height - y) % 1 < 0.5 and height - y > 1:
                spots.append((column, row + (y % 1 != 0)))
            found += [(image, anchor, r, c, label, x - c, y - r, w, h) for c, r in spots]
    return found


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.floats(2, 93, width=32), st.floats(2, 61, width=32),
                          st.floats(2, 90, width=32), st.floats(2, 60, width=32)), max_size=6))
def test_equals_the_loop(rows):
    cells = cells_of(*[r for r in rows if all(0.01 < (v / 8 * 2) % 1 < 0.99 for v in r[2:4])])
    assigned = assign_level(cells, ANCHORS, 8, (8, 12))
    actual = [(*head, *box) for *head, box in zip(
        assigned.image.tolist(), assigned.anchor.tolist(), assigned.row.tolist(), assigned.column.tolist(),
        assigned.label.tolist(), assigned.boxes.tolist())]
    expected = loop_reference(cells, ANCHORS, 8, (8, 12), 4.0)
    assert len(actual) == len(expected)
    for a, e in zip(sorted(actual), sorted(expected)):
        assert a == pytest.approx(e, abs=1e-4)


@pytest.mark.parametrize(('x', 'y', 'expected'), [
    (44, 44, [(5, 5)]),                        # exactly in the middle: no neighbour is nearer
    (42, 42, [(4, 5), (5, 4), (5, 5)]),        # upper left quarter
    (46, 46, [(5, 5), (5, 6), (6, 5)]),        # lower right quarter
    (44, 46, [(5, 5), (5, 6)]),
    (2, 2, [(0, 0)]),                          # corner: neighbours would lie outside
    (94, 62, [(11, 7)]),
    (2, 44, [(0, 5)]),
    (9, 44, [(0, 5), (1, 5)]),
])
def test_grid_cells_by_hand(x, y, expected):
    assigned = assign_level(cells_of((0, 1, x, y, 10, 13)), ANCHORS[:1], 8, (8, 12))
    assert places(assigned) == expected
    centre = torch.stack([assigned.column, assigned.row], 1) + assigned.boxes[:, :2]
    assert torch.allclose(centre * 8, torch.tensor([[x, y]], dtype=torch.float32))


def test_ratio_threshold_is_strict():
    widths = [2.4, 2.5, 2.6, 39.9, 40.0, 40.1]
    fits = [len(assign_level(cells_of((0, 0, 44, 44, w, 13)), ANCHORS[:1], 8, (8, 12)).label) for w in widths]
    assert fits == [0, 0, 1, 1, 0, 0]


def test_centre_on_the_images_border_stays_in_the_grid():
    assigned = assign_level(cells_of((0, 0, 96, 64, 10, 13)), ANCHORS[:1], 8, (8, 12))
    assert set(places(assigned)) == {(11, 7)}
    assert torch.allclose(assigned.boxes[:, :2], torch.ones(len(assigned.boxes), 2))


def test_order_lets_later_cells_win():
    """Own grid cells first; within them anchor by anchor, cell by cell, as the objectness target's last write needs."""
    assigned = assign_level(cells_of((0, 1, 44, 44, 12, 14), (0, 2, 44, 44, 14, 16)), ANCHORS, 8, (8, 12))
    assert assigned.anchor.tolist() == [0, 0, 1, 1, 2, 2]
    assert assigned.label.tolist() == [1, 2, 1, 2, 1, 2]


def test_empty_batch_and_one_without_cells():
    empty = BatchCells.from_instances([InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))])
    assert len(assign_level(empty, ANCHORS, 8, (8, 12)).label) == 0
    both = BatchCells.from_instances([
        InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)),
        InstanceData(bboxes=torch.tensor([[0., 2., 4., 10.]]), labels=torch.tensor([3]))])
    assert both.image.tolist() == [1] and both.boxes.tolist() == [[2., 6., 4., 8.]]
    assert both.boxes_xyxy.tolist() == [[0., 2., 4., 10.]]


def test_keep():
    assigned = assign_level(cells_of((0, 1, 42, 42, 10, 13)), ANCHORS[:1], 8, (8, 12))
    kept = assigned.keep(assigned.row == 4)
    assert places(kept) == [(5, 4)] and kept.anchor_size.tolist() == [[1.25, 1.625]]


def test_locations_by_hand():
    assert location_centres((2, 3), 8, torch.device('cpu'))[1, 2].tolist() == [20., 12.]
    known = locations_in_regions(
        [torch.tensor([[0., 0., 11., 24.], [19., 0., 24., 5.]]), torch.zeros(0, 4)], (2, 3), 8)
    assert known.int().tolist() == [[[1, 0, 1], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
