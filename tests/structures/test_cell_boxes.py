"""Boxes, attributes and regions stay in step through every method of a box type."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes, get_box_type

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE
from mmleuk.structures import CellBoxes

BOXES = [[0., 0., 2., 2.], [4., 4., 8., 8.], [1., 6., 3., 9.]]
ATTRIBUTES = [[1, 0], [0, IGNORE], [1, 2]]
REGIONS = [[0., 0., 5., 9.], [6., 1., 9., 4.]]


@pytest.fixture
def cells():
    return CellBoxes(BOXES, attributes=ATTRIBUTES, regions=REGIONS)


@pytest.fixture
def none():
    return CellBoxes(torch.zeros(0, 4), attributes=torch.zeros(0, 2), regions=REGIONS)


@pytest.mark.parametrize('index, rows', [
    (1, [1]), (-1, [2]), (np.int64(1), [1]), (slice(1, None), [1, 2]), (torch.tensor([True, False, True]), [0, 2]),
    (np.array([False, True, False]), [1]), (np.array([2, 0]), [2, 0]), ([1, 1], [1, 1]),
    (torch.tensor([], dtype=torch.long), []),
])
def test_selection_keeps_attributes_in_step_and_all_regions(cells, index, rows):
    chosen = cells[index]
    assert chosen.tensor.tolist() == [BOXES[row] for row in rows]
    assert chosen.attributes.tolist() == [ATTRIBUTES[row] for row in rows]
    assert chosen.attributes.shape == (len(rows), 2) and chosen.attributes.dtype == torch.int64
    assert chosen.regions.tolist() == REGIONS


def test_a_single_row_without_attributes_can_be_selected():
    assert CellBoxes(BOXES)[0].attributes.shape == (1, 0)


def test_assignment_sets_attributes(cells):
    cells[torch.tensor([0])] = CellBoxes([[5., 5., 6., 6.]], attributes=[[7, 7]])
    assert cells.attributes.tolist() == [[7, 7], *ATTRIBUTES[1:]]
    assert cells.regions.tolist() == REGIONS


def test_joining(cells, none):
    joined = CellBoxes.cat([cells, none, cells[:1]])
    assert joined.attributes.tolist() == ATTRIBUTES + ATTRIBUTES[:1]
    assert joined.regions.tolist() == REGIONS * 3
    with pytest.raises(UserError, match='same attribute schema'):
        CellBoxes.cat([cells, CellBoxes(BOXES)])


def test_joining_what_was_moved(cells, none):
    """Equal to each part scaled, then shifted, then all joined, to the bit; also without regions or boxes."""
    bare = CellBoxes(BOXES[:1], attributes=ATTRIBUTES[:1])
    parts = [cells, none, bare]
    scales, shifts = [(0.3, 0.7), (2.0, 0.5), (1.1, 1.3)], [(10.1, -3.0), (0.0, 7.0), (-0.5, 0.2)]
    joined = CellBoxes.cat_moved(parts, scales, shifts)
    moved = [part.clone() for part in parts]
    for part, scale, shift in zip(moved, scales, shifts):
        part.rescale_(scale)
        part.translate_(shift)
    expected = CellBoxes.cat(moved)
    assert torch.equal(joined.tensor, expected.tensor) and torch.equal(joined.attributes, expected.attributes)
    assert torch.equal(joined.regions, expected.regions) and len(joined.regions) == 4
    assert cells.tensor.tolist() == BOXES and none.regions.tolist() == REGIONS, 'the parts stay'


def test_boxes_of_integers_are_moved_by_fractions():
    moved = CellBoxes.cat_moved([CellBoxes(torch.tensor([[2, 4, 6, 8]]))], [(0.5, 1.5)], [(0.25, 0)])
    assert moved.tensor.tolist() == [[1.25, 6, 3.25, 12]] and moved.tensor.dtype == torch.float32


def test_moving_keeps_double_precision():
    boxes = CellBoxes(torch.tensor([[1, 2, 3, 4]], dtype=torch.float64), regions=REGIONS)
    moved = CellBoxes.cat_moved([boxes], [(1 / 3, 1)], [(0, 0)])
    assert moved.tensor[0, 0].item() == 1 / 3 and moved.regions.dtype == torch.float64


@pytest.mark.parametrize('copier', [CellBoxes.clone, copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])
def test_copies_share_nothing(cells, copier):
    copied = copier(cells)
    copied.tensor[:] = 0
    copied.attributes[:] = 0
    copied.translate_((3, 3))
    assert (cells.tensor.tolist(), cells.attributes.tolist(), cells.regions.tolist()) == (BOXES, ATTRIBUTES, REGIONS)


@pytest.mark.parametrize('send', [
    CellBoxes.cpu, CellBoxes.detach, lambda b: b.to('cpu'), lambda b: b.to(torch.float64), lambda b: b.split(3)[0],
    lambda b: b.chunk(1)[0],
])
def test_sent_boxes_keep_everything(cells, send):
    sent = send(cells)
    assert type(sent) is CellBoxes
    assert (sent.attributes.tolist(), sent.regions.tolist()) == (ATTRIBUTES, REGIONS)
    assert sent.attributes.dtype == torch.int64 and sent.regions.dtype == sent.tensor.dtype


def test_split_parts(cells):
    assert [part.attributes.tolist() for part in cells.split([1, 2])] == [ATTRIBUTES[:1], ATTRIBUTES[1:]]


def test_empty_and_fake_boxes(cells):
    empty = cells.empty_boxes()
    assert (empty.shape, empty.attributes.shape, empty.regions.tolist()) == ((0, 4), (0, 2), REGIONS)
    assert cells.fake_boxes((2, 4)).attributes.tolist() == [[IGNORE, IGNORE]] * 2


@pytest.mark.parametrize('move, expected', [
    (lambda b: b.flip_((9, 10)), [[5, 0, 10, 9], [1, 1, 4, 4]]),
    (lambda b: b.flip_((9, 10), 'vertical'), [[0, 0, 5, 9], [6, 5, 9, 8]]),
    (lambda b: b.flip_((9, 10), 'diagonal'), [[5, 0, 10, 9], [1, 5, 4, 8]]),
    (lambda b: b.translate_((2, -1)), [[2, -1, 7, 8], [8, 0, 11, 3]]),
    (lambda b: b.rescale_((2, 3)), [[0, 0, 10, 27], [12, 3, 18, 12]]),
    (lambda b: b.clip_((3, 6)), [[0, 0, 5, 3]]),
    (lambda b: b.resize_((2, 2)), REGIONS),
    (lambda b: b.rotate_((0., 0.), 90), [[-9, 0, 0, 5], [-4, 6, -1, 9]]),
    (lambda b: b.project_(np.array([[2., 0, 1], [0, 2, 0], [0, 0, 1]])), [[1, 0, 11, 18], [13, 2, 19, 8]]),
    (lambda b: b.project_(torch.eye(3)), REGIONS),
])
def test_regions_move_with_the_image_also_without_boxes(cells, none, move, expected):
    plain = HorizontalBoxes(BOXES)
    for boxes in (cells, none, plain):
        move(boxes)
    assert torch.equal(cells.regions, none.regions)
    assert cells.regions.numpy() == pytest.approx(np.array(expected), abs=1e-5)
    assert torch.equal(cells.tensor, plain.tensor)
    assert cells.attributes.tolist() == ATTRIBUTES and none.attributes.shape == (0, 2)


def test_turned_regions_shrink(cells):
    cells.rotate_((4., 4.), 10)
    area = 5 * 9
    turned = (cells.regions[:, 2] - cells.regions[:, 0]) * (cells.regions[:, 3] - cells.regions[:, 1])
    assert 0.5 * area < turned[0] < area * math.cos(math.radians(10)) ** 2


def test_moving_a_selection_leaves_the_whole_alone(cells):
    cells[:1].translate_((1, 1))
    assert cells.regions.tolist() == REGIONS


def test_registered_with_converters(cells):
    assert get_box_type('cbox') == ('cbox', CellBoxes)
    plain = cells.convert_to('hbox')
    assert type(plain) is HorizontalBoxes and plain.tensor.tolist() == BOXES
    back = plain.convert_to('cbox')
    assert back.attributes.shape == (3, 0) and back.regions.shape == (0, 4)     # nothing known: fails closed
    assert CellBoxes.overlaps(cells, cells, is_aligned=True).tolist() == pytest.approx([1, 1, 1])


def test_bad_input_is_refused(cells):
    with pytest.raises(ValueError, match=r'3 boxes need attributes \(N, A\), got \(2, 1\)'):
        CellBoxes(BOXES, attributes=[[1], [2]])
    with pytest.raises(ValueError, match=r'\(N, 4\), got \(1, 3, 4\)'):
        CellBoxes([BOXES])
    for name in ('view', 'reshape', 'unsqueeze', 'flatten'):
        with pytest.raises(TypeError, match=rf'have no {name}\(\)'):
            getattr(cells, name)(0)
    with pytest.raises(TypeError, match=r'have no stack\(\)'):
        CellBoxes.stack([cells, cells])


def test_empty_lists():
    boxes = CellBoxes([], attributes=[], regions=[])
    assert (boxes.tensor.shape, boxes.attributes.shape, boxes.regions.shape) == ((0, 4), (0, 0), (0, 4))
    assert 'regions' in repr(boxes)
