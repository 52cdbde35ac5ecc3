"""Scores of a detector under an interference factor.

Beside COCO's average precision: the share of affected cells that were found, and the share of impurities that were
taken for cells. Li et al. 2022 count both ("accuracy" of over-stained, overlapping, incomplete cells; "ratio of the
impurities mistaken"). They don't state the IoU and the score.

Legend: D detections, N cells, M impurities.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

from mmleuk.datasets.annotations import parse_ground_truth
from mmleuk.evaluation.coco_metric import KnownTruth, relabel_categories
from mmleuk.structures.matching import match, pairwise_iou

MIN_IOU = 0.5
_TAKEN_IOU = 0.3  # the box of an impurity is vague: grains, a cloud


@dataclass(frozen=True)
class Found:
    """A detector's output for one image: (D, 4) xyxy pixels, (D,) scores, (D,) indices of its classes."""

    boxes_xyxy: NDArray
    scores: NDArray
    labels: NDArray


@dataclass(frozen=True)
class FactorScores:
    """One detector on one set of images; shares are None where there is nothing to count.

    Args:
        images, cells: their numbers; ignored cells don't count.
        map, map50: COCO's mean average precision over IoU 0.5 to 0.95, and at 0.5. A detection outside the annotated
            regions that found no cell is left out.
        affected: number of cells that the factor affects.
        affected_found: share of them that a detection of their class found.
        impurities: their number.
        impurities_taken: share of impurities with a detection on them.
    """

    images: int
    cells: int
    map: float | None
    map50: float | None
    affected: int
    affected_found: float | None
    impurities: int
    impurities_taken: float | None


def score_factor(data: Mapping[str, Any], found: Mapping[int | str, Found], classes: Sequence[str],
                 min_score: float = 0.25) -> FactorScores:
    """Scores of one detector.

    Args:
        data: COCO data; ``mmleuk data interfere`` writes ``annotations[].affected`` and ``images[].impurities``.
        found: detections by image id.
        classes: the detector's class names.
        min_score: detections below it count for the average precision only.

    Raises:
        UserError: the data has a class that the detector doesn't know.
    """
    named = relabel_categories(dict(data), classes)
    precision = _average_precision(named, found)
    cells, affected, hits, impurities, taken = 0, 0, 0, 0, 0
    by_image: dict[Any, list[dict]] = {image['id']: [] for image in named['images']}
    for annotation in named['annotations']:
        by_image[annotation['image_id']].append(annotation)
    for image in named['images']:
        annotations, confident = by_image[image['id']], _confident(found[image['id']], min_score)
        concerned, got = _affected_found(annotations, confident)
        dirt = np.array(image.get('impurities', []), float).reshape(-1, 4)
        cells += sum(not annotation['iscrowd'] for annotation in annotations)
        affected, hits = affected + concerned, hits + got
        impurities, taken = impurities + len(dirt), taken + _taken(dirt, annotations, confident)
    return FactorScores(len(named['images']), cells, *precision, affected, hits / affected if affected else None,
                        impurities, taken / impurities if impurities else None)


def _confident(found: Found, min_score: float) -> Found:
    order = np.argsort(-found.scores, kind='stable')
    order = order[found.scores[order] >= min_score]
    return Found(found.boxes_xyxy[order], found.scores[order], found.labels[order])


def _corners(annotations: Sequence[Mapping[str, Any]]) -> NDArray:
    boxes = np.array([annotation['bbox'] for annotation in annotations], float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)


def _affected_found(annotations: Sequence[Mapping[str, Any]], confident: Found) -> tuple[int, int]:
    """Number of affected cells, and of those found by a detection of their class."""
    labels = np.array([annotation['category_id'] for annotation in annotations], np.int64)
    ignored = np.array([bool(annotation['iscrowd']) for annotation in annotations], bool)
    concerned = np.array([bool(annotation.get('affected')) for annotation in annotations], bool) & ~ignored
    iou = pairwise_iou(confident.boxes_xyxy, _corners(annotations), ignored)
    matched = match(iou, confident.scores, min_iou=MIN_IOU, ignored=ignored,
                    allowed=confident.labels[:, None] == labels[None])
    return int(concerned.sum()), int(np.isin(np.flatnonzero(concerned), matched).sum())


def _taken(dirt_xywh: NDArray, annotations: Sequence[Mapping[str, Any]], confident: Found) -> int:
    """Number of impurities with a detection on them that isn't on a cell."""
    on_cell = pairwise_iou(confident.boxes_xyxy, _corners(annotations)).max(1, initial=0) >= MIN_IOU
    corners = np.concatenate([dirt_xywh[:, :2], dirt_xywh[:, :2] + dirt_xywh[:, 2:]], 1)
    on_dirt = pairwise_iou(confident.boxes_xyxy[~on_cell], corners) >= _TAKEN_IOU
    return int(on_dirt.any(0).sum()) if len(on_dirt) else 0


def _average_precision(named: dict[str, Any], found: Mapping[int | str, Found]) -> tuple[float | None, float | None]:
    """mAP and mAP50 as pycocotools computes them, of what is annotated; None if no cell counts."""
    numbers = {image['id']: number for number, image in enumerate(named['images'], 1)}  # pycocotools wants integers
    if all(annotation['iscrowd'] for annotation in named['annotations']):
        return None, None
    regions = {numbers[image.image_id]: image.known_regions for image in parse_ground_truth(named, 'data').images
               if not image.is_known_everywhere}
    rows = [(numbers[image_id], x0, y0, x1 - x0, y1 - y0, score, label) for image_id, image in found.items()
            for (x0, y0, x1, y1), score, label in zip(image.boxes_xyxy, image.scores, image.labels)]
    if not rows:
        return 0.0, 0.0
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = KnownTruth(named | dict(
            images=[image | dict(id=numbers[image['id']]) for image in named['images']],
            annotations=[a | dict(image_id=numbers[a['image_id']]) for a in named['annotations']]), regions)
        evaluation = COCOeval(truth, truth.loadRes(np.array(rows, float)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])
