"""One self-contained HTML page per evaluation: figures, plots, tables, the worst images, provenance."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import mmleuk
from mmleuk.evaluation.error_types import BACKGROUND_IOU
from mmleuk.evaluation.evaluate import Evaluation
from mmleuk.evaluation.tables import class_rows, confusion_rows, error_rows, group_rows, notes, summary
from mmleuk.report.page_style import STYLE
from mmleuk.utils.tables import Row, shown
from mmleuk.utils.words import plural_n

_PLOT_STYLE = """
.plot { background: #fff; border: 1px solid var(--line); border-radius: .4rem; margin: .8rem 0; padding: .4rem;
  width: auto; }
.plot img { width: 100%; height: auto; max-width: 1045px; margin: 0 auto; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
.gallery figure { width: auto; } .gallery figure img { width: 100%; height: auto; }
"""
_TYPES = {
    'class': 'IoU of at least {iou} with a cell of another class: good box, wrong class',
    'localisation': 'IoU of {low} to {iou} with a cell of its class: right class, box not good enough',
    'both': 'IoU of {low} to {iou} with a cell of another class only: wrong class, box not good enough',
    'duplicate': 'IoU of at least {iou} with a cell of its class that a surer detection already has',
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
    parts = [_summary(evaluation), _classes(evaluation, plots), _curves(plots), _confusion(evaluation, plots),
             _errors(evaluation, plots), _groups(evaluation, plots), _gallery(evaluation, gallery),
             _cost(evaluation), _provenance(evaluation, created)]
    body = '\n'.join(part for part in parts if part)
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>Evaluation of a detector</title>\n<style>{STYLE}{_PLOT_STYLE}</style>\n</head>\n'
            f'<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n')


def sentence(evaluation: Evaluation) -> str:
    """The main figures in words."""
    figures = summary(evaluation)
    what = (f'{plural_n(len(evaluation.truth.images), "image")} with '
            f'{plural_n(int(evaluation.counts.cells.sum()), "cell")}')
    if figures['mAP'] is None:
        return f'No score: the ground truth, {what}, leaves nothing to find.'
    return (f'mAP {figures["mAP"]:.3f} over IoU 0.5 to 0.95, {figures["mAP_50"]:.3f} at IoU 0.5, '
            f'{figures["mAP_75"]:.3f} at IoU 0.75, and mAR {figures["mAR"]:.3f}, on {what}.')


def _summary(evaluation: Evaluation) -> str:
    said = '\n'.join(f'<p class="warn">{escape(note)}</p>' for note in notes(evaluation))
    figures = summary(evaluation)
    tables = '\n'.join(_table([{name: value for name, value in figures.items() if name.startswith(measure)}])
                       for measure in ('mAP', 'mAR'))
    return (f'<h1>Evaluation of a detector</h1>\n<p class="sentence">{escape(sentence(evaluation))}</p>\n{said}\n'
            f'{tables}\n<p class="dim">COCO&#x27;s figures, equal to pycocotools&#x27; to the last digit. mAP and mAR '
            'are means over the classes that have cells and over IoU 0.5, 0.55 ... 0.95; small is below 32² px, large '
            f'above 96² px; at most {plural_n(evaluation.settings.max_detections, "detection")} per image and class '
            '(at 1 and at 10: so many). '
            'A dash: no ground truth to score against.</p>')


def _classes(evaluation: Evaluation, plots: Mapping[str, bytes]) -> str:
    settings = evaluation.settings
    return (f'<h2>Classes</h2>\n{_plot(plots, "classes.png")}\n{_table(class_rows(evaluation))}\n'
            f'<p class="dim">AP and AR count detections of every score. Precision, recall and F1 count the '
            f'sure detections, of a score of at least {settings.min_score:g}, with a match at IoU '
            f'{settings.min_iou:g}.</p>')


def _curves(plots: Mapping[str, bytes]) -> str:
    plot = _plot(plots, 'pr_curves.png')
    return f'<h2>Precision and recall</h2>\n{plot}' if plot else ''


def _confusion(evaluation: Evaluation, plots: Mapping[str, bytes]) -> str:
    """The plot, or the table where plots were not asked for."""
    plot = _plot(plots, 'confusion.png')
    return f'<h2>Confusion</h2>\n{plot or _table(confusion_rows(evaluation))}'


def _errors(evaluation: Evaluation, plots: Mapping[str, bytes]) -> str:
    iou, low = f'{evaluation.settings.min_iou:g}', f'{BACKGROUND_IOU:g}'
    rows = [{**row, 'what it is': _TYPES[row['type']].format(iou=iou, low=low)} for row in error_rows(evaluation)]
    return f'<h2>Errors</h2>\n{_plot(plots, "errors.png")}\n{_table(rows)}'


def _groups(evaluation: Evaluation, plots: Mapping[str, bytes]) -> str:
    if not evaluation.groups:
        return ('<h2>Domains and interference factors</h2>\n<p>The annotation file states neither '
                '(<code>images[].domain</code>, <code>images[].factors</code>).</p>')
    rows = [_group_row(row, evaluation.truth.classes) for row in group_rows(evaluation)]
    return (f'<h2>Domains and interference factors</h2>\n{_plot(plots, "groups.png")}\n'
            f'{_table(rows)}\n<p class="dim">Each set of images is scored as if it were the whole '
            'test set; in the columns of the classes stand AP and, in brackets, cells: an AP '
            'that rests on few cells says little.</p>')


def _group_row(row: Row, classes: Sequence[str]) -> Row:
    """A class's AP and number of cells in one column, and so the kind and name of the group."""
    name = row['group'] if row['kind'] == 'all' else f'{row["kind"]}: {row["group"]}'
    rest = {key: row[key] for key in ('images', 'cells', 'mAP', 'mAP_50', 'mAP_75', 'mAR')}
    per_class = {c: f'{shown(row[f"AP {c}"])} ({row[f"cells {c}"]})' for c in classes}
    return dict(group=name, **rest) | per_class | dict(note=row['note'])


def _gallery(evaluation: Evaluation, gallery: Sequence[GalleryEntry]) -> str:
    if not gallery:
        return ''
    figures = '\n'.join(_entry(entry) for entry in gallery)
    without = '' if any(entry.picture for entry in gallery) else (
        '<p class="warn">The image files were not found; name their folder with --images.</p>\n')
    settings = evaluation.settings
    return (f'<h2>The worst images</h2>\n<p class="dim">The {len(gallery)} of '
            f'{plural_n(len(evaluation.truth.images), "image")} with the lowest F1 (class and box right, score at '
            f'least {settings.min_score:g}, IoU at least {settings.min_iou:g}), of equals those with more errors '
            'first. Thin green: correct; coloured: false, by type; white dashes: true cells that were not found.</p>\n'
            f'{without}<div class="gallery">\n{figures}\n</div>')


def _entry(entry: GalleryEntry) -> str:
    caption = f'<figcaption>{escape(entry.name)}: {escape(entry.caption)}</figcaption>'
    if entry.picture is None:
        return f'<figure>{caption}</figure>'
    image = f'<img src="{entry.picture}" alt="{escape(entry.name)}: {escape(entry.caption)}">'
    linked = f'<a href="{escape(quote(entry.link))}">{image}</a>' if entry.link else image
    return f'<figure>{linked}{caption}</figure>'


def _cost(evaluation: Evaluation) -> str:
    cost = evaluation.complexity
    if cost is None:
        return ''
    row = {'parameters': f'{cost.parameters / 1e6:.2f} million',
           'multiply-adds': f'{cost.multiply_adds / 1e9:.2f} × 10⁹',
           'images per second': f'{cost.images_per_second:.1f}'}
    weights = f'weights of {cost.checkpoint}' if cost.checkpoint else 'random weights'
    return (f'<h2>Cost</h2>\n{_table([row])}\n<p class="dim">{escape(cost.config)}, {escape(weights)}. Multiply-adds '
            f'(often called FLOPs) of one input of {cost.input_hw[1]} × {cost.input_hw[0]} px, convolutions, products '
            f'and normalisations counted. Images per second: median of {cost.n_timed} passes over '
            f'{escape(cost.pictures)}, one at a time, transforms, network and suppression of overlaps, '
            f'on {escape(cost.device)}.</p>')


def _provenance(evaluation: Evaluation, created: str) -> str:
    truth, settings = evaluation.truth, evaluation.settings
    facts = {'Annotations': truth.source, 'Predictions': evaluation.detections.source,
             'Images': shown(len(truth.images)),
             'Cells': f'{shown(int(evaluation.counts.cells.sum()))}, and {int(truth.crowd.sum())} ignored (iscrowd)',
             'Detections': f'{shown(evaluation.n_read)}, of which {shown(len(evaluation.detections))} count',
             'Lowest score (confusion, errors, worst images)': f'{settings.min_score:g}',
             'Smallest IoU there': f'{settings.min_iou:g}', 'Detections per image and class':
             f'at most {settings.max_detections}', 'Made': created, 'mmleuk': mmleuk.__version__}
    rows = '\n'.join(f'<dt>{name}</dt><dd>{escape(value)}</dd>' for name, value in facts.items())
    return f'<h2>How this was made</h2>\n<dl>\n{rows}\n</dl>'


def _plot(plots: Mapping[str, bytes], name: str) -> str:
    """The caption stands in the picture."""
    if name not in plots:
        return ''
    uri = 'data:image/png;base64,' + base64.b64encode(plots[name]).decode('ascii')
    return f'<figure class="plot"><img src="{uri}" alt="Plot {escape(name)}; the CSV files hold its numbers"></figure>'


def _table(rows: Sequence[Row]) -> str:
    """Rows of one table; columns without any entry are left out."""
    columns = [name for name in rows[0] if any(row[name] not in (None, '') for row in rows) or name in ('mAP', 'mAR')]
    texts = {name for name in columns if any(isinstance(row[name], str) for row in rows)}

    def cells(values: Sequence[object], tag: str) -> str:
        parts = [f'<{tag}{"" if name in texts else " class=n"}>{escape(shown(value))}</{tag}>'
                 for name, value in zip(columns, values)]
        if columns[0] in texts and tag == 'td':  # names head their rows, unbroken
            parts[0] = f'<th scope="row">{escape(shown(values[0]))}</th>'
        return ''.join(parts)

    head = cells([name.replace('_', ' ') for name in columns], 'th')
    body = '\n'.join(f'<tr>{cells([row[name] for name in columns], "td")}</tr>' for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
