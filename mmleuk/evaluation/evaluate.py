"""All scores of saved predictions, from one pass over the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.errors import UserError
from mmleuk.evaluation.coco_scores import (
    FEW,
    SIZES,
    THRESHOLDS,
    CocoScores,
    keep_highest,
    match_classes,
    overlapping_pairs,
    score,
)
from mmleuk.evaluation.detections import Detections, read_detections
from mmleuk.evaluation.error_types import (
    BACKGROUND_IOU,
    CORRECT,
    Confusion,
    Errors,
    ImageCounts,
    confusion_matrix,
    costs,
    count_images,
    find_errors,
)
from mmleuk.evaluation.groups import Group, groups_of
from mmleuk.structures.ground_truth import GroundTruth


@dataclass(frozen=True)
class Settings:
    """The user's settings.

    Args:
        min_score: smallest score of a detection in the confusion matrix, the numbers of errors and the worst images.
        min_iou: smallest IoU of a match in these; above TIDE's 0.1 for background.
        max_detections: every score counts so many detections per image and class, the highest-scoring ones; COCO: 100.
    """

    min_score: float = 0.3
    min_iou: float = 0.5
    max_detections: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise UserError(f'--min-score is {self.min_score}; it must lie between 0 and 1')
        if not BACKGROUND_IOU < self.min_iou <= 1:
            raise UserError(f'--min-iou is {self.min_iou}; it must be above {BACKGROUND_IOU} and at most 1')
        if self.max_detections < 1:
            raise UserError(f'--max-detections is {self.max_detections}; it must be at least 1')


@dataclass(frozen=True)
class Counts:
    """Cells found by detections of their class with at least ``min_score``.

    Args:
        cells: (K,) true cells.
        detections: (K,) detections that count.
        found: (K,) cells that a detection found.
    """

    cells: NDArray[np.int64]
    detections: NDArray[np.int64]
    found: NDArray[np.int64]


@dataclass(frozen=True)
class Complexity:
    """Size and speed of a model.

    Args:
        config, checkpoint: paths. Without a checkpoint ('') the weights are random, which changes the number of boxes
            in the suppression of overlaps.
        parameters: number of weights.
        multiply_adds: of convolutions and matrix products in one prediction on an input of ``input_hw``. One
            multiplication and addition counts as one (most papers call it FLOPs). Heads that work on detections count
            once per detection. RoIAlign counts on a CPU, where it is a matrix product here.
        input_hw: size of the network's input with padding.
        images_per_second: transforms, network and suppression of overlaps, one image at a time, without decoding.
        n_timed: number of passes; ``images_per_second`` is their median.
        device: name of the processor and, on a CPU, its threads.
        pictures: description of the timed images.
    """

    config: str
    checkpoint: str
    parameters: int
    multiply_adds: float
    input_hw: tuple[int, int]
    images_per_second: float
    n_timed: int
    device: str
    pictures: str


@dataclass(frozen=True)
class Evaluation:
    """All results.

    Args:
        truth, detections: the compared data; at most ``max_detections`` detections per image and class.
        settings: see :class:`Settings`.
        n_read: detections in the file.
        sizes: COCO's scores by size range; mAP usually means that of 'all'.
        groups: scores by domain and factor.
        counts: per class.
        found_cells: (D,) int64 the cell that a detection matches at ``min_iou``, or UNMATCHED.
        confusion, errors, images: see their classes; ``errors`` at the ``min_score`` of the settings.
        error_costs: mean AP lost by each type of error, over detections of all scores.
        complexity: of the model, if a config was given.
    """

    truth: GroundTruth
    detections: Detections
    settings: Settings
    n_read: int
    sizes: Mapping[str, CocoScores]
    groups: tuple[tuple[Group, CocoScores], ...]
    counts: Counts
    found_cells: NDArray[np.int64]
    confusion: Confusion
    errors: Errors
    error_costs: Mapping[str, float]
    images: ImageCounts
    complexity: Complexity | None = None

    @property
    def scores(self) -> CocoScores:
        """COCO's scores of cells of all sizes."""
        return self.sizes['all']

    @property
    def incomplete_images(self) -> int:
        """Number of partly annotated images: outside the regions, detections that find no cell are left out."""
        return sum(not image.is_known_everywhere for image in self.truth.images)


def evaluate_files(annotations: str | Path, predictions: str | Path, settings: Settings | None = None) -> Evaluation:
    """Read, check and score.

    Args:
        annotations: COCO JSON file.
        predictions: file that tools/test.py or tools/infer.py wrote; see :func:`read_detections`.
        settings: by default COCO's 100 detections, a ``min_score`` of 0.3 and a ``min_iou`` of 0.5.

    Raises:
        UserError: see :func:`read_ground_truth` and :func:`read_detections`.
    """
    detections, truth = read_detections(predictions, read_ground_truth(annotations))
    return evaluate(detections, truth, settings or Settings())


def evaluate(detections: Detections, truth: GroundTruth, settings: Settings) -> Evaluation:
    """Score detections; there may be no cells and no detections."""
    groups = groups_of(truth.images, truth.source)
    n_read = len(detections)
    detections = keep_highest(detections, settings.max_detections, len(truth.classes))
    pairs = overlapping_pairs(detections, truth, BACKGROUND_IOU)
    matches = {size: match_classes(detections, truth, pairs, THRESHOLDS, size) for size in SIZES}
    at_one = match_classes(detections, truth, pairs, np.array([settings.min_iou]))
    errors = find_errors(detections, truth, pairs, at_one, settings.min_score, settings.min_iou)
    all_errors = find_errors(detections, truth, pairs, at_one, 0.0, settings.min_iou)
    return Evaluation(
        truth=truth, detections=detections, settings=settings, n_read=n_read,
        sizes={size: score(found, detections, truth, few=FEW if size == 'all' else ())
               for size, found in matches.items()},
        groups=tuple((group, score(matches['all'], detections, truth, group.images)) for group in groups),
        counts=_count(errors, detections, truth),
        found_cells=at_one.cells[:, 0],
        confusion=confusion_matrix(detections, truth, pairs, settings.min_score, settings.min_iou),
        errors=errors,
        error_costs=costs(all_errors, detections, truth, at_one),
        images=count_images(errors, detections, truth))


def _count(errors: Errors, detections: Detections, truth: GroundTruth) -> Counts:
    n_classes = len(truth.classes)
    return Counts(cells=np.bincount(truth.labels[~truth.ignored], minlength=n_classes),
                  detections=np.bincount(detections.labels[errors.types >= CORRECT], minlength=n_classes),
                  found=np.bincount(detections.labels[errors.types == CORRECT], minlength=n_classes))
