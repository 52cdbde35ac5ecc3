"""Carried cells beside a target's own boxes."""

import numpy as np

from mmleuk.transfer.comparison import compare_field

WHOLE = [[0, 0, 200, 200]]


def boxes(*rows):
    return np.array(rows, float).reshape(-1, 4)


def test_agreeing_shifted_and_missing_boxes_by_hand():
    found = compare_field(boxes([10, 10, 30, 30], [50, 50, 70, 70], [150, 150, 170, 170]),
                          boxes([62, 50, 82, 70], [12, 10, 32, 30], [100, 10, 120, 30]), WHOLE)
    assert [(cell.counterpart, cell.verdict) for cell in found.cells] == [(1, 'agrees'), (0, 'shifted'),
                                                                           (None, 'no box')]
    assert [round(cell.iou, 3) for cell in found.cells] == [round(18 / 22, 3), 0.25, 0]
    assert found.cells[0].distance_px == 2 and found.cells[2].distance_px is None
    assert found.shift_px == (12, 0)
    assert (found.extra, found.contradicts) == (1, False)


def test_a_shifted_field_contradicts():
    cells = boxes([10, 10, 30, 30], [50, 50, 70, 70], [100, 100, 130, 130])
    found = compare_field(cells, cells + [15, -11, 15, -11], WHOLE)
    assert found.contradicts and found.shift_px == (15, -11)
    assert not compare_field(cells, cells, WHOLE).contradicts


def test_a_free_box_is_taken_once_and_by_its_best_cell():
    found = compare_field(boxes([0, 0, 20, 20], [4, 0, 24, 20]), boxes([5, 0, 25, 20]), WHOLE)
    assert [cell.verdict for cell in found.cells] == ['no box', 'agrees']


def test_boxes_outside_the_known_regions_are_not_extra():
    truth = boxes([10, 10, 20, 20], [90, 10, 110, 20])  # the second has its centre on the region's edge
    assert compare_field(boxes(), truth, [[0, 0, 100, 100]]).extra == 1
    assert compare_field(boxes(), truth, []).extra == 0


def test_empty_sides():
    assert compare_field(boxes(), boxes(), WHOLE).cells == ()
    found = compare_field(boxes([0, 0, 9, 9]), boxes(), WHOLE)
    assert found.count('no box') == 1 and not found.contradicts and found.shift_px is None
