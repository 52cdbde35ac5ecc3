"""One self-contained HTML page per evaluation: figures, plots, tables, the worst images, provenance."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mmleuk
from mmleuk.evaluation.error_types import BACKGROUND_IOU
from mmleuk.evaluation.evaluate import Evaluation
from mmleuk.evaluation.tables import class_rows, confusion_rows, error_rows, group_rows, notes, summary
from mmleuk.report.render import render
from mmleuk.utils.tables import Row, shown
from mmleuk.utils.words import plural_n

_TYPES = {
    'class': 'IoU of at least {iou} with a cell of another class: good box, wrong class',
    'localisation': 'IoU of {low} to {iou} with a cell of its class: right class, box not good enough',
    'both': 'IoU of {low} to {iou} with a cell of another class only: wrong class, box not good enough',
    'duplicate': 'IoU of at least {iou} with a cell of its class that a detection with a higher score already has',
    'background': 'IoU below {low} with every cell: nothing is there',
    'missed': 'a cell without a detection, and without a class or localisation error on it'}


@dataclass(frozen=True)
class GalleryEntry:
    """One of the worst images.

    Args:
        name: file name of the image.
        caption: what is in it, in words.
        picture: small picture as a data URI; None where the image file was not found.
        link: path of the large picture relative to the page.
    """

    name: str
    caption: str
    picture: str | None = None
    link: str | None = None


def render_evaluation(evaluation: Evaluation, plots: Mapping[str, bytes], gallery: Sequence[GalleryEntry],
                      created: str) -> str:
    """The page as text; the same arguments give the same bytes.

    Args:
        evaluation: what to show.
        plots: PNG by file name (:func:`mmleuk.report.evaluation_plots.draw_plots`); may be empty.
        gallery: the worst images, the worst first.
        created: time, as text.
    """
    settings, figures = evaluation.settings, summary(evaluation)
    texts = {key: text.format(iou=f'{settings.min_iou:g}', low=f'{BACKGROUND_IOU:g}') for key, text in _TYPES.items()}
    cost = evaluation.complexity
    return render(
        'evaluation.html', sentence=sentence(evaluation), notes=notes(evaluation), settings=settings,
        score=f'{settings.min_score:g}', iou=f'{settings.min_iou:g}',
        plots={name: base64.b64encode(content).decode('ascii') for name, content in plots.items()},
        summaries=[{key: value for key, value in figures.items() if key.startswith(m)} for m in ('mAP', 'mAR')],
        classes=class_rows(evaluation), confusion=confusion_rows(evaluation),
        errors=[{**row, 'what it is': texts[row['type']]} for row in error_rows(evaluation)],
        groups=[_group_row(row, evaluation.truth.classes) for row in group_rows(evaluation)]
        if evaluation.groups else [],
        gallery=gallery, n_images=len(evaluation.truth.images), cost=cost,
        cost_row=cost and {'parameters': f'{cost.parameters / 1e6:.2f} million',
                           'multiply-adds': f'{cost.multiply_adds / 1e9:.2f} × 10⁹',
                           'images per second': f'{cost.images_per_second:.1f}'},
        facts=_facts(evaluation, created))


def sentence(evaluation: Evaluation) -> str:
    """The main figures in words."""
    figures = summary(evaluation)
    what = (f'{plural_n(len(evaluation.truth.images), "image")} with '
            f'{plural_n(int(evaluation.counts.cells.sum()), "cell")}')
    if figures['mAP'] is None:
        return f'No score: the ground truth, {what}, leaves nothing to find.'
    return (f'mAP {figures["mAP"]:.3f} over IoU 0.5 to 0.95, {figures["mAP_50"]:.3f} at IoU 0.5, '
            f'{figures["mAP_75"]:.3f} at IoU 0.75, and mAR {figures["mAR"]:.3f}, on {what}.')


def _group_row(row: Row, classes: Sequence[str]) -> Row:
    """A class's AP and number of cells in one column, and so the kind and name of the group."""
    name = row['group'] if row['kind'] == 'all' else f'{row["kind"]}: {row["group"]}'
    rest = {key: row[key] for key in ('images', 'cells', 'mAP', 'mAP_50', 'mAP_75', 'mAR')}
    per_class = {c: f'{shown(row[f"AP {c}"])} ({row[f"cells {c}"]})' for c in classes}
    return dict(group=name, **rest) | per_class | dict(note=row['note'])


def _facts(evaluation: Evaluation, created: str) -> dict[str, str]:
    truth, settings = evaluation.truth, evaluation.settings
    return {'Annotations': truth.source, 'Predictions': evaluation.detections.source,
            'Images': shown(len(truth.images)),
            'Cells': f'{shown(int(evaluation.counts.cells.sum()))}, and {int(truth.ignored.sum())} ignored',
            'Detections': f'{shown(evaluation.n_read)}, of which {shown(len(evaluation.detections))} count',
            'Lowest score (confusion, errors, worst images)': f'{settings.min_score:g}',
            'Smallest IoU there': f'{settings.min_iou:g}',
            'Detections per image and class': f'at most {settings.max_detections}', 'Made': created,
            'mmleuk': mmleuk.__version__}
