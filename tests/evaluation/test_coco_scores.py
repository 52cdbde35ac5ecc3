"""COCO's figures against pycocotools, for equality and not for closeness."""

import contextlib
import copy
import io
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.evaluation.coco_scores import (
    FEW,
    SIZES,
    THRESHOLDS,
    keep_highest,
    known_mean,
    match_classes,
    overlapping_pairs,
    score,
)
from mmleuk.evaluation.detections import from_results
from mmleuk.evaluation.evaluate import Settings, evaluate
from mmleuk.evaluation.tables import summary, to_dict

# pycocotools' order of its twelve figures.
STATS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_small', 'mAP_medium', 'mAP_large', 'mAR_at_1', 'mAR_at_10', 'mAR', 'mAR_small',
         'mAR_medium', 'mAR_large')


def pycocotools(data, results, image_ids=None, max_detections=(1, 10, 100)):
    """Their evaluation of copies of the same records; None where loadRes refuses an empty list."""
    if not results:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(data)
        coco.createIndex()
        theirs = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), 'bbox')
        theirs.params.maxDets = list(max_detections)
        if image_ids is not None:
            theirs.params.imgIds = image_ids
        theirs.evaluate()
        theirs.accumulate()
        if len(max_detections) == 3:
            theirs.summarize()
    return theirs


def load(tmp_path, data, results):
    (tmp_path / 'truth.json').write_text(json.dumps(data))
    return from_results(results, read_ground_truth(tmp_path / 'truth.json'), 'results.json')


def same(ours, theirs):
    """Equal to the last bit; our NaN is their -1."""
    return np.array_equal(np.nan_to_num(np.asarray(ours, float), nan=-1), theirs)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
def test_all_figures_equal_pycocotools(tmp_path_factory, make_files, seed):
    data, results = make_files(seed)
    theirs = pycocotools(data, results)
    if theirs is None:
        return
    detections, truth = load(tmp_path_factory.mktemp('files'), data, results)
    found = evaluate(detections, truth, Settings())
    assert same([summary(found)[name] for name in STATS], theirs.stats)
    for index, size in enumerate(SIZES):
        assert same(found.sizes[size].precision, theirs.eval['precision'][:, :, :, index, 2])
        assert same(found.sizes[size].recall, theirs.eval['recall'][:, :, index, 2])
        assert same(found.sizes[size].scores, theirs.eval['scores'][:, :, :, index, 2])
    for index, number in enumerate(FEW):
        assert same(found.scores.recall_of_few[number], theirs.eval['recall'][:, :, 0, index])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=5)
def test_a_group_equals_pycocotools_on_its_images_alone(tmp_path_factory, make_files, seed):
    data, results = make_files(seed, n_images=8)
    if not results:
        return
    found = evaluate(*load(tmp_path_factory.mktemp('files'), data, results), Settings())
    assert len(found.groups) >= 2
    for group, scores in found.groups:
        chosen = [info.image_id for info, inside in zip(found.truth.images, group.images) if inside]
        theirs = pycocotools(data, results, chosen)
        assert same(scores.precision, theirs.eval['precision'][:, :, :, 0, 2]), group.name
        assert same(scores.recall, theirs.eval['recall'][:, :, 0, 2])
        assert same(scores.ap(), theirs.stats[0])


@pytest.mark.parametrize('limit', [1, 2, 3])
def test_fewer_detections(tmp_path, make_files, limit):
    data, results = make_files(5)
    detections, truth = load(tmp_path, data, results)
    kept = keep_highest(detections, limit, len(truth.classes))
    pairs = overlapping_pairs(kept, truth, 0.1)
    scores = score(match_classes(kept, truth, pairs, THRESHOLDS), kept, truth)
    theirs = pycocotools(data, results, max_detections=(limit,))
    assert len(kept) < len(detections)
    assert same(scores.precision, theirs.eval['precision'][:, :, :, 0, 0])


def test_evaluating_twice_gives_the_same_and_changes_nothing(tmp_path, make_files):
    data, results = make_files(3)
    before = copy.deepcopy(results)
    detections, truth = load(tmp_path, data, results)
    arrays = [detections.scores.copy(), truth.boxes_xywh.copy()]
    first, second = (evaluate(detections, truth, Settings()) for _ in range(2))
    assert summary(first) == summary(second) and results == before
    assert np.array_equal(arrays[0], detections.scores) and np.array_equal(arrays[1], truth.boxes_xywh)


def test_by_hand(tmp_path):
    """One image, two cells; found at 0.9, false at 0.8, found at 0.7: precision 1 up to recall 0.5, then 2/3."""
    data = dict(images=[dict(id=1, file_name='a.png', width=100, height=100)], categories=[dict(id=1, name='WBC')],
                annotations=[dict(id=i + 1, image_id=1, category_id=1, bbox=[40 * i, 0, 20, 20]) for i in range(2)])
    results = [dict(image_id=1, category_id=1, bbox=[x, y, 20, 20], score=s)
               for x, y, s in ((0, 0, 0.9), (0, 60, 0.8), (40, 0, 0.7))]
    scores = evaluate(*load(tmp_path, data, results), Settings()).scores
    assert scores.ap() == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert scores.ar() == 1 and known_mean(scores.recall_of_few[1]) == 0.5



@pytest.mark.slow
def test_no_slower_than_pycocotools_plus_a_fifth(tmp_path):
    """CPU time of everything but plots, 300 images with 100 detections each, the faster of two runs in turns."""
    rng = np.random.default_rng(0)
    images = [dict(id=i, file_name=f'{i}.png', width=640, height=640, domain='ab'[i % 2]) for i in range(300)]
    boxes = np.c_[rng.uniform(0, 560, (300, 20, 2)), rng.uniform(30, 80, (300, 20, 2))].reshape(300, 20, 4)
    labels = rng.integers(1, 6, (300, 20))
    cells = [dict(image_id=i, category_id=int(label), bbox=box.tolist(), area=float(box[2] * box[3]), iscrowd=0)
             for i in range(300) for box, label in zip(boxes[i], labels[i])]
    near = (boxes[:, np.arange(100) % 20] + rng.normal(0, 4, (300, 100, 4))).clip(1)
    results = [dict(image_id=i, category_id=int(labels[i, j % 20]), bbox=near[i, j].tolist(), score=float(rng.random()))
               for i in range(300) for j in range(100)]
    data = dict(images=images, annotations=[dict(id=n + 1, **cell) for n, cell in enumerate(cells)],
                categories=[dict(id=k, name=f'class {k}') for k in range(1, 6)])
    seconds: dict = {'ours': [], 'theirs': []}
    for _ in range(2):
        for name, work in (('theirs', lambda: pycocotools(data, results)),
                           ('ours', lambda: to_dict(evaluate(*load(tmp_path, data, results), Settings()), 'now'))):
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    assert min(seconds['ours']) <= 1.2 * min(seconds['theirs']), seconds
