"""An evaluation as plain tables: rows of values for CSV, JSON and the page. Undefined values are None, not 0 or -1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import mmleuk
from mmleuk.datasets.validation import recognise_boxes
from mmleuk.evaluation.coco_scores import FEW, RECALLS, SIZES, THRESHOLDS, CocoScores, known_mean
from mmleuk.evaluation.error_types import BACKGROUND_IOU, FALSE_TYPES, free_name
from mmleuk.evaluation.evaluate import Evaluation
from mmleuk.utils.tables import Row

FORMAT = 'mmleuk.evaluation/1'
MAX_OVERHANG_PX = 1.0
"""By how much rounding may put a detection outside its image."""
CURVE_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
NO_TRUTH, NO_DETECTION, NEITHER, FINE = 'no ground truth', 'nothing detected', 'no ground truth, nothing detected', ''


def known(value: float) -> float | None:
    """The number; None for NaN."""
    return None if math.isnan(value) else float(value)


def ratio(part: int, whole: int) -> float | None:
    """A quotient; None where the denominator is 0."""
    return int(part) / int(whole) if whole else None


def status(n_cells: int, n_detections: int) -> str:
    """Why a score is undefined; empty if it is defined."""
    return (FINE if n_detections else NO_DETECTION) if n_cells else (NO_TRUTH if n_detections else NEITHER)


def summary(evaluation: Evaluation) -> dict[str, float | None]:
    """COCO's twelve figures under their usual names."""
    scores = evaluation.scores
    row = dict(mAP=scores.ap(), mAP_50=scores.ap(0.5), mAP_75=scores.ap(0.75))
    row |= {f'mAP_{size}': evaluation.sizes[size].ap() for size in SIZES if size != 'all'}
    row |= dict(mAR=scores.ar())
    row |= {f'mAR_at_{number}': known_mean(scores.recall_of_few[number]) for number in FEW}
    row |= {f'mAR_{size}': evaluation.sizes[size].ar() for size in SIZES if size != 'all'}
    return {name: known(value) for name, value in row.items()}


def class_rows(evaluation: Evaluation) -> list[Row]:
    """One row per class."""
    scores, counts = evaluation.scores, evaluation.counts
    rows: list[Row] = []
    for label, name in enumerate(evaluation.truth.classes):
        cells, found, confident = (int(column[label]) for column in (counts.cells, counts.found, counts.detections))
        rows.append(dict(
            **{'class': name}, cells=cells, detections=int(scores.n_detections[label]),
            AP=known(scores.ap(label=label)), AP_50=known(scores.ap(0.5, label)), AP_75=known(scores.ap(0.75, label)),
            AR=known(scores.ar(label)), detections_above_min_score=confident, precision=ratio(found, confident),
            recall=ratio(found, cells), F1=ratio(2 * found, cells + confident),
            note=status(cells, int(scores.n_detections[label]))))
    return rows


def group_rows(evaluation: Evaluation) -> list[Row]:
    """One row per domain and factor, all images first."""
    n_images = len(evaluation.truth.images)
    rows = [_group_row(evaluation, 'all', 'all images', n_images, evaluation.scores)]
    return rows + [_group_row(evaluation, group.kind, group.name, int(group.images.sum()), scores)
                   for group, scores in evaluation.groups]


def _group_row(evaluation: Evaluation, kind: str, name: str, n_images: int, scores: CocoScores) -> Row:
    cells, detections = int(scores.n_cells.sum()), int(scores.n_detections.sum())
    row = dict(kind=kind, group=name, images=n_images, cells=cells, detections=detections,
               classes=int((scores.n_cells > 0).sum()), mAP=known(scores.ap()), mAP_50=known(scores.ap(0.5)),
               mAP_75=known(scores.ap(0.75)), mAR=known(scores.ar()))
    for label, name in enumerate(evaluation.truth.classes):
        row |= {f'AP {name}': known(scores.ap(label=label)), f'cells {name}': int(scores.n_cells[label])}
    return row | dict(note=status(cells, detections))


def error_rows(evaluation: Evaluation) -> list[Row]:
    """One row per type of error: the number of errors, and the mean AP gained by fixing all of them."""
    counts = evaluation.errors.counts()
    return [dict(type=name, errors=counts[name], mAP_gain=known(evaluation.error_costs[name])) for name in counts]


def confusion_rows(evaluation: Evaluation) -> list[Row]:
    """One row per true class and one for the background; one column per predicted class and one for missed."""
    confusion = evaluation.confusion
    head = free_name('true class', confusion.column_names)
    return [{head: row, **{column: int(count) for column, count in zip(confusion.column_names, values)}}
            for row, values in zip(confusion.row_names, confusion.counts)]


def image_rows(evaluation: Evaluation) -> list[Row]:
    """One row per image, ordered by id."""
    images = evaluation.images
    return [dict(image=info.file_name, image_id=info.image_id, domain=info.domain, cells=int(images.cells[index]),
                 found=int(images.found[index]), not_found=int(images.not_found[index]),
                 **{name: int(count) for name, count in zip(FALSE_TYPES, images.false[index])},
                 F1=known(images.f1[index]))
            for index, info in enumerate(evaluation.truth.images)]


def curve_rows(evaluation: Evaluation) -> list[Row]:
    """Precision by class, IoU (0.5 to 0.9) and recall; no rows for a class without ground truth."""
    scores = evaluation.scores
    return [dict(**{'class': name}, IoU=float(iou), recall=float(RECALLS[r]),
                 precision=float(scores.precision[t, r, label]), score=float(scores.scores[t, r, label]))
            for label, name in enumerate(evaluation.truth.classes) if scores.n_cells[label]
            for t, iou in enumerate(THRESHOLDS.round(2)) if iou in CURVE_IOUS for r in range(len(RECALLS))]


CSV_FILES: Mapping[str, Callable[[Evaluation], Sequence[Row]]] = {
    'summary.csv': lambda evaluation: [dict(measure=k, value=v) for k, v in summary(evaluation).items()],
    'classes.csv': class_rows, 'groups.csv': group_rows, 'errors.csv': error_rows, 'confusion.csv': confusion_rows,
    'images.csv': image_rows, 'pr_curves.csv': curve_rows}


def notes(evaluation: Evaluation) -> list[str]:
    """Warnings about the limits of the scores."""
    truth, found, said = evaluation.truth, len(evaluation.detections), []
    if not evaluation.counts.cells.sum():
        said.append('The annotation file has no cells. Without ground truth there is no score.')
    if not found:
        said.append('Nothing was detected in any image.')
    if pattern := recognise_boxes(_detected_boxes(evaluation), MAX_OVERHANG_PX):
        said.append(f'The detections: {pattern.what}; {pattern.fix}.')
    absent = [name for name, cells in zip(truth.classes, evaluation.counts.cells) if not cells]
    if absent and evaluation.counts.cells.any():
        said.append(f'The ground truth has no cells of {", ".join(absent)}. These classes have no score and are left '
                    'out of every mean. Their detections count as false in the confusion matrix and the errors.')
    if evaluation.incomplete_images:
        said.append(f'{evaluation.incomplete_images} of {len(truth.images)} images are only partly annotated '
                    '(annotated_region). Outside these regions, detections that found no cell are left out.')
    if evaluation.detections.min_score:
        said.append(f'The predictions have no scores below {evaluation.detections.min_score:g}, and overlapping '
                    'cells may be removed. mAP and mAR are lower than with all detections (tools/test.py).')
    if evaluation.n_read > found:
        said.append(f'{evaluation.n_read - found} of {evaluation.n_read} detections were left out: only '
                    f'{evaluation.settings.max_detections} count per class and image (--max-detections).')
    return said


def _detected_boxes(evaluation: Evaluation) -> list[tuple[str, list[float], tuple[int, int]]]:
    found, images = evaluation.detections, evaluation.truth.images
    return [(f'detection {number}', box, (images[index].width, images[index].height))
            for number, (box, index) in enumerate(zip(found.boxes_xywh.tolist(), found.image_of.tolist()))]


def to_dict(evaluation: Evaluation, created: str) -> dict[str, Any]:
    """Everything except the curves, for JSON."""
    truth = evaluation.truth
    return dict(
        format=FORMAT, version=mmleuk.__version__, created=created, annotations=truth.source,
        predictions=evaluation.detections.source, settings=asdict(evaluation.settings), notes=notes(evaluation),
        n=dict(images=len(truth.images), cells=int(evaluation.counts.cells.sum()), crowds=int(truth.ignored.sum()),
               detections=evaluation.n_read, detections_kept=len(evaluation.detections)),
        coco=summary(evaluation), classes=class_rows(evaluation), groups=group_rows(evaluation),
        errors=dict(min_score=evaluation.errors.min_score, min_iou=evaluation.errors.min_iou,
                    background_iou=BACKGROUND_IOU, types=error_rows(evaluation)),
        confusion=confusion_rows(evaluation), images=image_rows(evaluation),
        complexity=None if evaluation.complexity is None else asdict(evaluation.complexity))
