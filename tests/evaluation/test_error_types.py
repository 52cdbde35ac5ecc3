"""Confusion matrix, types of errors and their costs: worked by hand and against brute force."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.evaluation.detections import from_results
from mmleuk.evaluation.error_types import BACKGROUND_IOU, FALSE_TYPES, TYPES
from mmleuk.evaluation.evaluate import Settings, evaluate
from mmleuk.structures.matching import pairwise_iou

CLASSES = ('WBC', 'RBC')


def evaluate_boxes(folder, cells, detections, **options):
    """One image; cells (name, x, y, w, h) or with a sixth True for a crowd; detections (name, x, y, w, h, score)."""
    annotations = [dict(id=i + 1, image_id=1, category_id=CLASSES.index(c[0]), bbox=list(c[1:5]),
                        iscrowd=int(len(c) > 5)) for i, c in enumerate(cells)]
    data = dict(images=[dict(id=1, file_name='a.png', width=1000, height=1000)], annotations=annotations,
                categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES)])
    (folder / 'truth.json').write_text(json.dumps(data))
    results = [dict(image_id=1, category_id=CLASSES.index(d[0]), bbox=list(d[1:5]), score=d[5]) for d in detections]
    truth = read_ground_truth(folder / 'truth.json')
    return evaluate(*from_results(results, truth, 'results.json'), Settings(**options))


CELLS = [('WBC', 0, 0, 100, 100), ('RBC', 200, 0, 100, 100), ('RBC', 400, 0, 100, 100), ('RBC', 600, 0, 100, 100),
         ('WBC', 800, 0, 100, 100)]
DETECTIONS = [
    ('WBC', 0, 0, 100, 100, 0.95),     # correct
    ('WBC', 10, 0, 100, 100, 0.9),     # the same cell again: duplicate
    ('WBC', 200, 0, 100, 100, 0.8),    # a good box on an RBC: class
    ('RBC', 460, 0, 100, 100, 0.7),    # IoU 40/160 = 0.25 with an RBC: localisation
    ('RBC', 860, 0, 100, 100, 0.6),    # IoU 0.25 with a WBC: both
    ('RBC', 0, 500, 100, 100, 0.5),    # nothing there
    ('RBC', 600, 0, 100, 100, 0.2)]    # correct, but below the lowest score


def test_each_type_once_by_hand(tmp_path):
    found = evaluate_boxes(tmp_path, CELLS, DETECTIONS)
    # The last RBC is too faint and the last WBC has only a "both": these two are missed, the other two are not.
    assert found.errors.counts() == {'class': 1, 'localisation': 1, 'both': 1, 'duplicate': 1, 'background': 1,
                                     'missed': 2}
    assert found.errors.missed.tolist() == [False, False, False, True, True]
    assert found.errors.targets.tolist() == [-1, -1, 1, 2, -1, -1, -1]
    assert (found.images.cells[0], found.images.found[0]) == (5, 1)
    assert found.images.f1[0] == pytest.approx(2 * 1 / (5 + 6))


def test_confusion_by_hand(tmp_path):
    found = evaluate_boxes(tmp_path, CELLS, DETECTIONS)
    #                                    WBC RBC missed
    assert found.confusion.counts.tolist() == [[1, 0, 1],   # WBC: one right, one missed
                                               [1, 0, 2],   # RBC: one taken for a WBC
                                               [1, 3, 0]]   # background: the duplicate WBC and three RBCs
    assert np.isnan(evaluate_boxes(tmp_path, [], []).confusion.shares).all()


def test_the_gain_of_a_fix_by_hand(tmp_path):
    """One class: a false detection with a higher score on nothing halves AP; without it AP is 1."""
    found = evaluate_boxes(tmp_path, CELLS[:1], [('WBC', 0, 500, 50, 50, 0.9), ('WBC', 0, 0, 100, 100, 0.8)])
    assert found.scores.ap() == pytest.approx(0.5)
    assert found.error_costs == pytest.approx({**dict.fromkeys(TYPES, 0), 'background': 0.5})


def test_fixing_a_class_moves_the_detection_to_the_other_class(tmp_path):
    found = evaluate_boxes(tmp_path, CELLS[:2], [('WBC', 200, 0, 100, 100, 0.9), ('WBC', 0, 0, 100, 100, 0.8)])
    # WBC: false, then right: 0.5; RBC: 0. Fixed, both are 1. Without missed cells the RBC still has AP 0.
    assert found.scores.ap(0.5) == pytest.approx(0.25)
    assert found.error_costs['class'] == pytest.approx(0.75) and found.error_costs['missed'] == pytest.approx(0)


def test_fixing_boxes_counts_each_cell_once(tmp_path):
    """Two inexact boxes on one cell: the highest-scoring one becomes right, the other disappears."""
    found = evaluate_boxes(tmp_path, CELLS[:1], [('WBC', 60, 0, 100, 100, 0.9), ('WBC', 60, 10, 100, 100, 0.8)])
    assert found.errors.counts()['localisation'] == 2 and found.error_costs['localisation'] == pytest.approx(1)


def test_missed_cells(tmp_path):
    found = evaluate_boxes(tmp_path, [CELLS[0], CELLS[4]], [('WBC', 0, 0, 100, 100, 0.9)])
    assert found.error_costs['missed'] == pytest.approx(1 - 51 / 101) and found.errors.counts()['missed'] == 1


def test_detections_on_a_crowd_count_neither_way(tmp_path):
    found = evaluate_boxes(tmp_path, [('WBC', 0, 0, 500, 500, True)], [('WBC', 10, 10, 50, 50, 0.9)] * 2)
    assert sum(found.errors.counts().values()) == 0 and not found.confusion.counts.any()
    assert not found.counts.detections.any() and not len(found.images.worst(5))


def brute_force(evaluation):
    """Types by detection and missed cells, from the definitions, one pair at a time."""
    truth, detections, settings_ = evaluation.truth, evaluation.detections, evaluation.settings
    boxes = [np.c_[b[:, :2], b[:, :2] + b[:, 2:]] for b in (detections.boxes_xywh, truth.boxes_xywh)]
    iou = pairwise_iou(*boxes, truth.ignored) * (detections.image_of[:, None] == truth.image_of)
    types, missed = [], set(np.flatnonzero(~truth.ignored))
    for d in range(len(detections)):
        if detections.scores[d] < settings_.min_score:
            types.append('faint')
            continue
        taken = evaluation.found_cells[d]
        if taken >= 0:
            types.append('crowd' if truth.ignored[taken] else 'correct')
            missed -= set() if truth.ignored[taken] else {taken}
            continue
        own = {g: iou[d, g] for g in range(len(truth.labels))
               if not truth.ignored[g] and truth.labels[g] == detections.labels[d]}
        other = {g: iou[d, g] for g in range(len(truth.labels)) if not truth.ignored[g] and g not in own}
        best_own, best_other = max(own.values(), default=0), max(other.values(), default=0)
        if BACKGROUND_IOU <= best_own < settings_.min_iou:
            types.append('localisation')
            missed.discard(next(g for g in own if own[g] == best_own))
        elif best_other >= settings_.min_iou:
            types.append('class')
            missed.discard(next(g for g in other if other[g] == best_other))
        elif best_own >= settings_.min_iou:
            types.append('duplicate')
        else:
            types.append('background' if max(best_own, best_other) < BACKGROUND_IOU else 'both')
    return types, missed


def brute_force_confusion(evaluation):
    truth, detections, settings_ = evaluation.truth, evaluation.detections, evaluation.settings
    n = len(truth.classes)
    counts = np.zeros((n + 1, n + 1), int)
    free = set(np.flatnonzero(~truth.ignored))
    boxes = [np.c_[b[:, :2], b[:, :2] + b[:, 2:]] for b in (detections.boxes_xywh, truth.boxes_xywh)]
    iou = pairwise_iou(*boxes, truth.ignored) * (detections.image_of[:, None] == truth.image_of)
    for d in range(len(detections)):
        if detections.scores[d] < settings_.min_score:
            continue
        best = max(((iou[d, g], g) for g in free if iou[d, g] >= settings_.min_iou), default=None)
        if best:
            counts[truth.labels[best[1]], detections.labels[d]] += 1
            free.remove(best[1])
        elif not any(iou[d, g] >= settings_.min_iou for g in np.flatnonzero(truth.ignored)):
            counts[n, detections.labels[d]] += 1
    for g in free:
        counts[truth.labels[g], n] += 1
    return counts


@given(seed=st.integers(0, 10**6), min_score=st.sampled_from([0.0, 0.3, 0.7]),
       min_iou=st.sampled_from([0.3, 0.5, 0.75]))
@settings(max_examples=12)
def test_equal_brute_force(tmp_path_factory, make_files, seed, min_score, min_iou):
    data, results = make_files(seed)
    path = tmp_path_factory.mktemp('files') / 'truth.json'
    path.write_text(json.dumps(data))
    options = Settings(min_score=min_score, min_iou=min_iou)
    found = evaluate(*from_results(results, read_ground_truth(path), 'r.json'), options)
    types, missed = brute_force(found)
    names = dict(enumerate(FALSE_TYPES)) | {-1: 'correct', -2: 'crowd', -3: 'faint'}
    assert [names[value] for value in found.errors.types.tolist()] == types
    assert set(np.flatnonzero(found.errors.missed)) == missed
    assert np.array_equal(found.confusion.counts, brute_force_confusion(found))
    # Parts add up: every confident detection and every cell counts once.
    assert found.confusion.counts[:-1].sum() == (~found.truth.ignored).sum()
    assert all(-1 - 1e-9 <= gain <= 1 + 1e-9 for gain in found.error_costs.values() if not np.isnan(gain))
    assert found.images.found.sum() == types.count('correct')
    assert found.images.cells.sum() == (~found.truth.ignored).sum()
