"""What became of affected cells and impurities, worked by hand; average precision as pycocotools has it."""

import numpy as np
import pytest

from mmleuk.errors import UserError
from mmleuk.evaluation.factor_scores import Found, score_factor

CLASSES = ('RBC', 'WBC')


def data(**image):
    """Two affected WBC, an affected crowd and a plain RBC."""
    boxes = [([10, 10, 20, 20], 5, 1, 0), ([50, 10, 20, 20], 5, 1, 0), ([50, 50, 20, 20], 5, 1, 1),
             ([10, 50, 20, 20], 2, 0, 0)]
    return dict(
        images=[dict(id='a', file_name='a.png', width=100, height=100) | image,
                dict(id=3, file_name='b.png', width=100, height=100)],
        categories=[dict(id=5, name='WBC'), dict(id=2, name='RBC')],
        annotations=[dict(id=number, image_id='a', category_id=category, bbox=box, area=400, iscrowd=crowd)
                     | (dict(affected=1) if affected else {})
                     for number, (box, category, affected, crowd) in enumerate(boxes)])


def found(*rows):
    """Detections (x0, y0, x1, y1, score, label) of the first image, none of the second."""
    table = np.array(rows, float).reshape(-1, 6)
    return {'a': Found(table[:, :4], table[:, 4], table[:, 5].astype(int)),
            3: Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))}


def test_affected_cells_by_hand():
    rows = [(10, 10, 30, 30, 0.9, 1), (50, 10, 70, 30, 0.9, 0), (10, 50, 30, 70, 0.5, 0)]
    scores = score_factor(data(), found(*rows), CLASSES)
    assert (scores.images, scores.cells, scores.affected) == (2, 3, 2)
    assert scores.affected_found == 0.5                 # the second one is taken for an RBC
    assert scores.impurities == 0 and scores.impurities_taken is None
    # RBC: the wrong one comes first, so precision is 1/2 throughout; WBC: half of the recall at precision 1
    assert scores.map50 == pytest.approx((0.5 + 51 / 101) / 2)


def test_detections_with_low_scores_find_nothing_but_count_for_precision():
    scores = score_factor(data(), found((10, 10, 30, 30, 0.2, 1), (10, 50, 30, 70, 0.9, 0)), CLASSES)
    assert scores.affected_found == 0 and scores.map50 == pytest.approx((1 + 51 / 101) / 2)
    assert score_factor(data(), found((10, 10, 30, 30, 0.2, 1)), CLASSES, min_score=0.1).affected_found == 0.5


def test_impurities_by_hand():
    dirt = dict(impurities=[[80, 80, 10, 10], [52, 12, 20, 18], [10, 80, 10, 10]])
    rows = [(80, 80, 90, 90, 0.9, 0), (81, 80, 91, 90, 0.8, 1), (50, 10, 70, 30, 0.9, 1), (10, 80, 20, 90, 0.1, 1)]
    scores = score_factor(data(**dirt), found(*rows), CLASSES)
    assert scores.impurities == 3
    # the second lies on a cell that was found, the third is unsure
    assert scores.impurities_taken == pytest.approx(1 / 3)


def test_nothing_found_and_nothing_there():
    scores = score_factor(data(impurities=[[80, 80, 10, 10]]), found(), CLASSES)
    assert (scores.map, scores.affected_found, scores.impurities_taken) == (0.0, 0.0, 0.0)
    empty = score_factor(data() | dict(annotations=[]), found((1, 1, 9, 9, 0.9, 0)), CLASSES)
    assert (empty.map, empty.map50, empty.affected_found) == (None, None, None)


def test_what_is_not_annotated_is_not_false():
    """A detection in the unknown half comes before the right one: precision 1/2 if it counted."""
    given = data(annotated_region=[0, 0, 100, 45])
    given['images'][1]['annotated_region'] = []
    given['annotations'] = [a for a in given['annotations'] if a['bbox'][1] < 45]
    detections = found((70, 60, 90, 80, 0.9, 1), (10, 10, 30, 30, 0.8, 1), (50, 10, 70, 30, 0.7, 1))
    detections[3] = Found(np.array([[1, 1, 9, 9]]), np.array([0.95]), np.array([1]))
    scores = score_factor(given, detections, CLASSES)
    assert scores.map == scores.map50 == pytest.approx(1)
    inside = found((75, 20, 95, 40, 0.9, 1), (10, 10, 30, 30, 0.8, 1), (50, 10, 70, 30, 0.7, 1))
    # recall 1/2 at precision 1/2, recall 1 at 2/3
    assert score_factor(given, inside, CLASSES).map50 == pytest.approx(2 / 3)


def test_inputs_are_only_read_and_unknown_classes_raise():
    given, detections = data(), found((10, 10, 30, 30, 0.9, 1))
    assert score_factor(given, detections, CLASSES) == score_factor(given, detections, CLASSES)
    assert given == data()
    with pytest.raises(UserError, match='WBC'):
        score_factor(given, detections, ('RBC',))
