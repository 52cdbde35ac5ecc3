"""Matching against hand-worked cases, brute force and pycocotools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmleuk.structures.matching import DISREGARDED, UNMATCHED, Pairs, match, match_pairs, pairwise_iou

FALLING = np.array([0.9, 0.8, 0.7, 0.6])


def test_a_detection_whose_best_cell_is_taken_gets_its_next_best():
    iou = np.array([[0.9, 0.6], [0.8, 0.55], [0.7, 0.7], [0.4, 0.0]])
    assert match(iou, FALLING, min_iou=0.5).tolist() == [0, 1, UNMATCHED, UNMATCHED]
    assert match(iou, FALLING, min_iou=0.95).tolist() == [UNMATCHED] * 4


def test_the_highest_score_chooses_first_whatever_the_order():
    iou = np.array([[0.8, 0.55], [0.9, 0.6]])
    assert match(iou, np.array([0.2, 0.3]), min_iou=0.5).tolist() == [1, 0]
    assert match(iou, np.array([0.3, 0.2]), min_iou=0.5).tolist() == [0, 1]
    assert match(iou, np.array([0.3, 0.3]), min_iou=0.5).tolist() == [0, 1]  # of equal scores the earlier one


def test_an_iou_equal_to_the_threshold_matches():
    """Boxes of 2 x 2 and 2 x 4 pixels: 4 / 8. Boxes that are equal match at a threshold of 1."""
    iou = pairwise_iou(np.array([[0, 0, 2, 2]]), np.array([[0, 0, 2, 4]]))
    assert iou.item() == 0.5 and match(iou, FALLING[:1], min_iou=0.5).tolist() == [0]
    assert match(iou, FALLING[:1], min_iou=np.nextafter(0.5, 1)).tolist() == [UNMATCHED]
    assert match(np.full((1, 1), 1 - 1e-12), FALLING[:1], min_iou=1.0).tolist() == [0]  # equal up to rounding


def test_of_equal_ious_the_later_cell():
    assert match(np.array([[0.7, 0.7, 0.6]]), FALLING[:1], min_iou=0.5).tolist() == [1]


def test_ignored_cells_absorb_any_number_of_detections_and_only_those_without_a_cell():
    iou = np.array([[0.9, 0.6], [0.9, 0.0], [0.8, 0.9], [0.0, 0.0]])
    found = match(iou, FALLING, min_iou=0.5, ignored=np.array([True, False]))
    assert found.tolist() == [1, DISREGARDED, DISREGARDED, UNMATCHED]


def test_pairs_not_allowed_do_not_match():
    assert match(np.array([[0.9, 0.6]]), FALLING[:1], min_iou=0.5, allowed=np.array([[False, True]])).tolist() == [1]


@pytest.mark.parametrize('shape', [(0, 0), (0, 3), (3, 0)])
def test_without_boxes(shape):
    iou = pairwise_iou(np.zeros((shape[0], 4)), np.zeros((shape[1], 4)))
    assert iou.shape == shape
    assert match(iou, FALLING[:shape[0]], min_iou=0.5).tolist() == [UNMATCHED] * shape[0]


def random_boxes(rng, count):
    corner = rng.uniform(0, 30, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 20, (count, 2))], 1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10 ** 6))
def test_agrees_with_pycocotools(seed):
    """Same detections, cells and crowds through COCOeval: the same are matched, false and disregarded."""
    rng = np.random.default_rng(seed)
    cells, detections, scores = random_boxes(rng, 6), random_boxes(rng, 8), rng.choice([0.2, 0.5, 0.9], 8)
    crowd = rng.random(6) < 0.2
    coco = COCO()
    coco.dataset = dict(images=[dict(id=1)], categories=[dict(id=1, name='cell')], annotations=[
        dict(id=index + 1, image_id=1, category_id=1, bbox=[*box[:2], *(box[2:] - box[:2])],
             area=float(np.prod(box[2:] - box[:2])), iscrowd=int(flag))
        for index, (box, flag) in enumerate(zip(cells, crowd))])
    coco.createIndex()
    results = coco.loadRes([dict(image_id=1, category_id=1, bbox=[*box[:2], *(box[2:] - box[:2])], score=score)
                            for box, score in zip(detections, scores)])
    evaluation = COCOeval(coco, results, 'bbox')
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ['all']
    evaluation.evaluate()
    image = evaluation.evalImgs[0]
    iou = pairwise_iou(detections, cells, crowd)
    before = iou.copy()
    matches = match(iou, scores, min_iou=0.5, ignored=crowd)[np.array(image['dtIds']) - 1]
    disregarded = image['dtIgnore'][0].astype(bool)
    assert ((matches == DISREGARDED) == disregarded).all()
    expected = np.where(image['dtMatches'][0] > 0, image['dtMatches'][0] - 1, UNMATCHED)
    assert (matches[~disregarded] == expected[~disregarded]).all()
    assert (iou == before).all() and (match(iou, scores, min_iou=0.5, ignored=crowd)[
        np.array(image['dtIds']) - 1] == matches).all()


def brute_force_match(iou, groups, thresholds, ignored, crowd):
    """COCO's rule, one detection and threshold at a time; iou (D, G) with 0 for pairs that may not match."""
    result = np.full((len(groups), len(thresholds)), UNMATCHED)
    for t, threshold in enumerate(thresholds):
        taken = set()
        for detection in range(len(groups)):
            best = None
            for cell in range(iou.shape[1]):
                if iou[detection, cell] < threshold or (cell in taken and not crowd[cell]):
                    continue
                key = (not ignored[cell], iou[detection, cell], cell)
                if best is None or key > best:
                    best = key
            if best:
                result[detection, t] = best[2]
                taken.add(best[2])
    return result


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60)
def test_many_groups_and_thresholds_equal_brute_force(seed):
    rng = np.random.default_rng(seed)
    n_detections, n_cells, thresholds = int(rng.integers(0, 9)), int(rng.integers(0, 7)), np.array([0.5, 0.75])
    groups = np.sort(rng.integers(0, 3, n_detections))
    owner = rng.integers(0, 3, n_cells)  # a cell has pairs in one group only
    iou = rng.choice([0.0, 0.5, 0.6, 0.75, 0.9], (n_detections, n_cells)) * (groups[:, None] == owner)
    crowd = rng.random(n_cells) < 0.3
    ignored = crowd | (rng.random(n_cells) < 0.3)
    rows, cells = np.nonzero(iou)
    found = match_pairs(Pairs(rows, cells, iou[rows, cells]), groups, thresholds, ignored, crowd)
    assert np.array_equal(found, brute_force_match(iou, groups, thresholds, ignored, crowd))
