"""Boxes, masks and regions under a homography, worked by hand."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmleuk.datasets.converters.coco_files import check_coco
from mmleuk.errors import UserError
from mmleuk.transfer.carrying import carry_boxes, carry_image, cut
from mmleuk.transfer.registration import project_points

HALF_TURN = np.array([[-1.0, 0, 100], [0, -1, 80], [0, 0, 1]])
DOUBLE = np.diag([2.0, 2.0, 1.0])


def one_image(annotations, **image):
    return check_coco(dict(
        images=[dict(id=1, file_name='a.png', width=100, height=80, **image)], categories=[dict(id=4, name='WBC')],
        annotations=[dict(dict(id=number, image_id=1, category_id=4, iscrowd=0), **entry)
                     for number, entry in enumerate(annotations, 1)]), 'a.json')


def carried(coco, homography, size_wh=(100, 80), **options):
    return carry_image(coco.images[0], coco.data['images'][0], coco.data['annotations'], homography, 'b.png', size_wh,
                       **options)


def test_half_turns_and_scales_by_hand():
    boxes = np.array([[10.0, 20, 30, 50]])
    assert carry_boxes(boxes, HALF_TURN).tolist() == [[70, 30, 90, 60]]
    assert carry_boxes(boxes, DOUBLE).tolist() == [[20, 40, 60, 100]]
    assert carry_boxes(np.zeros((0, 4)), DOUBLE).shape == (0, 4)


def test_a_box_holds_what_its_ellipse_becomes():
    """Against an ellipse that is moved point by point, under a perspective."""
    homography = np.array([[0.9, 0.3, 5], [-0.4, 1.1, 8], [4e-4, -2e-4, 1]])
    boxes = np.array([[10.0, 20, 50, 90], [100, 5, 130, 25]])
    angle = np.linspace(0, 2 * np.pi, 20001)
    for (x1, y1, x2, y2), box in zip(boxes, carry_boxes(boxes, homography), strict=True):
        ring = np.column_stack([(x1 + x2) / 2 + (x2 - x1) / 2 * np.cos(angle),
                                (y1 + y2) / 2 + (y2 - y1) / 2 * np.sin(angle)])
        moved = project_points(ring, homography)
        assert box == pytest.approx([*moved.min(0), *moved.max(0)], abs=1e-4)


def test_cut_by_hand():
    inside, left = cut(np.array([[0.0, 0, 10, 10], [95, 0, 105, 10], [200, 0, 210, 10], [5, 5, 5, 5]]), (100, 80))
    assert left.tolist() == [1, 0.5, 0, 0]
    assert inside[1].tolist() == [95, 0, 100, 10]


def test_all_keys_stay_and_the_old_names_are_noted():
    coco = one_image([dict(bbox=[10, 20, 20, 30], area=300, attributes=dict(size=1), note='x')], patient=7, domain='a')
    found = carried(coco, HALF_TURN)
    assert found.image == dict(file_name='b.png', width=100, height=80, annotated_region=[[0, 0, 100, 80]], patient=7,
                               carried_from='a.png')
    assert found.annotations == (dict(category_id=4, iscrowd=0, bbox=[70, 30, 20, 30], area=300, note='x',
                                      attributes=dict(size=1), carried_from=1),)
    assert coco.data['annotations'][0]['bbox'] == [10, 20, 20, 30]
    # A cell fills the same share of its box: half of 20 x 30, doubled in both directions.
    assert carried(coco, DOUBLE, (200, 160)).annotations[0]['area'] == 1200


def test_cells_that_leave_the_field_are_dropped_and_counted():
    """Under the double: [80, 20, 120, 60] is half inside a width of 100, [90, ...] a quarter, [120, ...] not at all."""
    coco = one_image([dict(bbox=[40, 10, 20, 20]), dict(bbox=[45, 10, 20, 20]), dict(bbox=[60, 10, 10, 10])])
    found = carried(coco, DOUBLE)
    assert [entry['bbox'] for entry in found.annotations] == [[80, 20, 20, 40]]
    assert found.dropped == 2
    assert len(carried(coco, DOUBLE, min_visible=0.25).annotations) == 2


def test_a_crowd_stays_as_long_as_it_is_visible():
    found = carried(one_image([dict(bbox=[45, 10, 20, 20], iscrowd=1), dict(bbox=[60, 0, 9, 9], iscrowd=1)]), DOUBLE)
    assert [entry['carried_from'] for entry in found.annotations] == [1]
    assert found.dropped == 1
    shift = np.array([[1.0, 0, -9.997], [0, 1, 0], [0, 0, 1]])
    sliver = carried(one_image([dict(bbox=[0, 10, 10, 10], iscrowd=1)]), shift)
    assert sliver.annotations == () and sliver.dropped == 1  # a box without width would be refused in training


@pytest.mark.parametrize('region, homography, expected', [
    (None, np.array([[1.0, 0, 40], [0, 1, 0], [0, 0, 1]]), [[40, 0, 60, 80]]),
    ([10, 20, 30, 40], HALF_TURN, [[60, 20, 30, 40]]),
    ([[0, 0, 20, 20], [60, 60, 20, 20]], DOUBLE, [[0, 0, 40, 40]]),
    ([], DOUBLE, [])])
def test_only_what_the_source_knows_is_known_in_the_target(region, homography, expected):
    stated = {} if region is None else dict(annotated_region=region)
    assert carried(one_image([], **stated), homography).image['annotated_region'] == expected


def test_a_turned_region_shrinks_to_what_is_surely_known():
    turn = np.radians(45)
    homography = np.array([[np.cos(turn), -np.sin(turn), 50], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    (x, y, w, h), = carried(one_image([], annotated_region=[20, 20, 20, 20]), homography).image['annotated_region']
    assert (w, h) == pytest.approx((200 ** 0.5, 200 ** 0.5), abs=0.02)
    assert (x + w / 2, y + h / 2) == pytest.approx(project_points(np.array([[30.0, 30]]), homography)[0], abs=0.02)


def test_polygons_and_masks_move_with_their_cells():
    mask = np.zeros((80, 100), np.uint8)
    mask[20:50, 10:30] = 1
    packed = coco_mask.encode(np.asfortranarray(mask))
    coco = one_image([
        dict(bbox=[10, 20, 20, 30], segmentation=[[10, 20, 30, 20, 30, 50]]),
        dict(bbox=[10, 20, 20, 30], segmentation=dict(size=[80, 100], counts=packed['counts'].decode()))])
    polygon, encoded = (entry['segmentation'] for entry in carried(coco, HALF_TURN).annotations)
    assert polygon == [[90, 60, 70, 60, 70, 30]]
    assert np.array_equal(coco_mask.decode(encoded), mask[::-1, ::-1])


def test_keypoints_are_refused():
    with pytest.raises(UserError, match='annotation 1: has keypoints'):
        carried(one_image([dict(bbox=[10, 20, 20, 30], keypoints=[1, 2, 2])]), DOUBLE)
