"""One table: every single model and the ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmleuk.ensemble.files import ENSEMBLE, Comparison
from mmleuk.evaluation.evaluate import Evaluation
from mmleuk.evaluation.tables import group_rows, notes
from mmleuk.utils.files import write_atomic
from mmleuk.utils.tables import Row, csv_text, lines, markdown_table
from mmleuk.utils.words import plural_n

MEANS = ('mAP', 'mAP_50', 'mAP_75', 'mAR')


def rows(comparison: Comparison) -> list[Row]:
    """One row per model and one for the ensemble: ``mmleuk evaluate``'s figures, None where one doesn't exist."""
    return [dict(model=name, detections=evaluation.n_read, **_scores(evaluation))
            for name, evaluation in comparison.evaluations.items()]


def _scores(evaluation: Evaluation) -> dict[str, float | None]:
    everything: Mapping[str, Any] = group_rows(evaluation)[0]
    return {key: everything[key] for key in (*MEANS, *(f'AP {name}' for name in evaluation.truth.classes))}


def logged_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """A row's figures under the names that a training's log has, for tables of trainings, without what doesn't exist.

    The log's ``bbox_mAP_50`` counts 1000 detections per image and class, not 100 as here: it may differ in the third
    digit.

    >>> logged_metrics({'model': 'ensemble', 'mAP_50': '0.5', 'mAR': 0.25, 'AP WBC': None})
    {'coco/bbox_mAP_50': 0.5, 'coco/bbox_AR@100': 0.25}
    """
    named = {'mAP': 'bbox_mAP', 'mAP_50': 'bbox_mAP_50', 'mAP_75': 'bbox_mAP_75', 'mAR': 'bbox_AR@100'}
    named |= {key: f'{key.removeprefix("AP ")}_precision' for key in row if key.startswith('AP ')}
    return {f'coco/{named[key]}': float(value) for key, value in row.items()
            if key in named and value not in (None, '')}


def to_markdown(comparison: Comparison) -> str:
    """The table, what was compared, and what to know before believing it."""
    of_ensemble = comparison.evaluations[ENSEMBLE]
    truth, settings = of_ensemble.truth, comparison.settings
    names = [name for name in comparison.evaluations if name != ENSEMBLE]
    weights = '' if settings.weights is None else ', weights ' + ', '.join(
        f'{weight:g} ({name})' for name, weight in zip(names, settings.weights))
    skipped = f', confidences below {settings.skip_box_thr:g} left out' if settings.skip_box_thr else ''
    if settings.nms_thr is not None:
        skipped += f", of a model's own boxes that overlap by more than {settings.nms_thr:g} the surest"
    said = [f'{plural_n(len(truth.images), "image")} with {int(of_ensemble.counts.cells.sum()):,} cells of '
            f'{truth.source}. Ensemble: Weighted Boxes Fusion of {len(names)} models, IoU above '
            f'{settings.iou_thr:g}{weights}{skipped}; a cell\'s confidence is the sum over its boxes divided by the '
            f'{"number" if settings.weights is None else "weights"} of all models.']
    table = rows(comparison)
    drawn = markdown_table(lines(table, list(table[0])))
    remarks = [f'- {name}: {note}' for name, evaluation in comparison.evaluations.items() for note in notes(evaluation)]
    return '\n'.join([*said, '', drawn, *(['', *remarks] if remarks else [])]) + '\n'


def write_tables(comparison: Comparison, stem: str | Path) -> list[Path]:
    """Write ``<stem>.csv`` and ``<stem>.md``; each appears whole or not at all."""
    stem = Path(stem)
    return [write_atomic(stem.with_name(f'{stem.name}.csv'), csv_text(rows(comparison))),
            write_atomic(stem.with_name(f'{stem.name}.md'), to_markdown(comparison))]
