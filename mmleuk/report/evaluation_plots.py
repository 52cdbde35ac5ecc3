"""Plots of an evaluation as PNG; each carries a caption that says what is shown, of how many, and how it was made."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from mmleuk.evaluation.coco_scores import RECALLS, THRESHOLDS
from mmleuk.evaluation.error_types import Confusion
from mmleuk.evaluation.evaluate import Evaluation
from mmleuk.evaluation.tables import CURVE_IOUS, class_rows, error_rows, group_rows
from mmleuk.pictures.text import plain_text
from mmleuk.utils.words import plural_n

_DPI = 110
_WIDTH = 9.5  # inches
_INK, FAINT, BLUE, ORANGE = '#1b1b1f', '#b9b9c4', '#0072B2', '#D55E00'
_PANELS_PER_ROW = 3
# More would be too many to look at, and at some point too large a picture to draw; the CSV files hold them all.
_MOST_ROWS = 60
_MOST_PANELS = 30
_MOST_NAMED = 40  # classes of a confusion matrix
_LONGEST_NAME = 40


def curve_plot(evaluation: Evaluation) -> bytes:
    """Precision over recall, one panel per class, one line per IoU."""
    classes, scores = evaluation.truth.classes, evaluation.scores
    shown = _largest(scores.n_cells, _MOST_PANELS)
    columns = min(_PANELS_PER_ROW, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(2.75 * rows + 1.1)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    lines: list = []
    for axes in panels.flat[len(shown):]:
        axes.set_visible(False)
    for index, (label, axes) in enumerate(zip(shown, panels.flat)):
        cells = int(scores.n_cells[label])
        axes.set_title(f'{_short(classes[label])}: {plural_n(cells, "cell")}', fontsize=10)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        if index + columns >= len(shown):
            axes.set_xlabel('recall')
            axes.tick_params(labelbottom=True)
        if not cells:
            axes.text(0.5, 0.5, 'no ground truth', ha='center', va='center', color=_INK)
            continue
        lines = [axes.plot(RECALLS, scores.precision[_threshold(iou), :, label], color=colour, lw=1.8,
                           label=f'IoU {iou:g}')[0]
                 for iou, colour in zip(CURVE_IOUS, colormaps['viridis'](np.linspace(0, 0.88, len(CURVE_IOUS))))]
    for axes in panels[:, 0]:
        axes.set_ylabel('precision')
    if lines:
        figure.legend(handles=lines, loc='outside upper center', ncols=len(lines), frameon=False, fontsize=9)
    return figure_png(figure,
                      'Precision over recall of each class, by the IoU that a match needs. Precision is the largest '
                      "at this recall or a higher one, at pycocotools' 101 recalls; where it falls to 0, no score "
                      f'threshold reaches the recall. {_left_out(shown, len(classes), "classes", "cells")}'
                      f'{_evidence(evaluation)}')


def confusion_plot(evaluation: Evaluation) -> bytes:
    """True against predicted classes, counts, shaded by the share of the row."""
    confusion = evaluation.confusion
    size = len(confusion.classes) + 1
    side = max(3.2, 0.52 * size + 1.6)
    figure = new_figure(min(side + 1.2, _WIDTH))
    axes = figure.subplots()
    axes.imshow(np.nan_to_num(confusion.shares), cmap='Blues', vmin=0, vmax=1)
    axes.set(xlabel='predicted', ylabel='true')
    if size - 1 <= _MOST_NAMED:
        _write_counts(axes, confusion)
        numbers = 'Numbers are counts, shades shares of the row.'
    else:
        numbers = 'Shades are shares of the row; classes go by their index in confusion.csv, from 0, with the counts.'
    axes.axhline(size - 1.5, color=_INK, lw=1.2)
    axes.axvline(size - 1.5, color=_INK, lw=1.2)
    return figure_png(figure,
                      f'What each cell was taken for. Rows: the true class, last what was found where no cell is; '
                      f'columns: the predicted class, last the cells not found. {numbers} '
                      f'{_operating_point(evaluation)}, matched one to one whatever the class, the '
                      f'highest score first. {_evidence(evaluation)}')


def _write_counts(axes: Axes, confusion: Confusion) -> None:
    """Names beside the matrix, counts into it, lines between."""
    size, shares = len(confusion.classes) + 1, confusion.shares
    axes.set_xticks(range(size), list(map(_short, confusion.column_names)), rotation=40, ha='right',
                    rotation_mode='anchor')
    axes.set_yticks(range(size), list(map(_short, confusion.row_names)))
    small = 8 if size > 9 else 10
    for row in range(size):
        for column in range(size):
            count, share = confusion.counts[row, column], shares[row, column]
            if (row, column) == (size - 1, size - 1):
                axes.text(column, row, '–', ha='center', va='center', color=_INK, fontsize=small)
            elif count:
                percent = f'\n{100 * share:.0f}%' if size <= 9 else ''
                axes.text(column, row, f'{count}{percent}', ha='center', va='center', fontsize=small,
                          color='white' if share > 0.55 else _INK)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which='minor', color=FAINT, lw=0.6)
    axes.tick_params(which='minor', length=0)


def class_plot(evaluation: Evaluation) -> bytes:
    """AP of each class."""
    every = class_rows(evaluation)
    shown = _largest([row['cells'] for row in every], _MOST_ROWS)
    rows = [every[index] for index in shown]
    labels = [f'{_short(row["class"])} ({row["cells"]})' for row in rows]
    return _score_plot(labels, [(row['AP'], row['AP_50'], row['note']) for row in rows], 'AP',
                       'Average precision of each class, in brackets its number of true cells. '
                       f'{_left_out(shown, len(every), "classes", "cells")}{_evidence(evaluation)}')


def group_plot(evaluation: Evaluation) -> bytes:
    """Mean AP of each domain and factor."""
    every = group_rows(evaluation)
    shown = _largest([row['images'] for row in every], _MOST_ROWS)
    rows = [every[index] for index in shown]
    labels = [f'{_short(row["group"])} ({row["images"]})' if row['kind'] == 'all'
              else f'{row["kind"]}: {_short(row["group"])} ({row["images"]})' for row in rows]
    return _score_plot(labels, [(row['mAP'], row['mAP_50'], row['note']) for row in rows], 'mAP',
                       'Mean average precision of each set of images, in brackets its number of images; the mean is '
                       'over the classes that have cells in the set. '
                       f'{_left_out(shown, len(every), "groups", "images")}{_evidence(evaluation)}')


def error_plot(evaluation: Evaluation) -> bytes:
    """How many errors of each type, and what they cost."""
    rows = error_rows(evaluation)
    names, ys = [row['type'] for row in rows], np.arange(len(rows))
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2, sharey=True)
    _bars(left, ys, [row['errors'] for row in rows], ORANGE, '{:d}')
    left.set(yticks=ys, yticklabels=names, title='number of errors')
    left.invert_yaxis()
    gains = [row['mAP_gain'] for row in rows]
    iou = evaluation.settings.min_iou
    right.set_title(f'mAP at IoU {iou:g} gained by fixing')
    if None in gains:
        right.text(0.5, 0.5, 'no ground truth', transform=right.transAxes, ha='center', va='center')
        right.set_xticks([])
    else:
        _bars(right, ys, gains, BLUE, '{:.3f}')
    return figure_png(figure,
                      f'Errors by type (TIDE). Left: {_operating_point(evaluation, False)}. Right: how much the mean '
                      f'AP at IoU {iou:g} would rise if all errors of the type were fixed, detections of every '
                      f'score included; the gains do not add up. {_evidence(evaluation)}')


PLOTS: Mapping[str, Callable[[Evaluation], bytes]] = {
    'classes.png': class_plot, 'pr_curves.png': curve_plot, 'confusion.png': confusion_plot,
    'errors.png': error_plot, 'groups.png': group_plot}


def draw_plots(evaluation: Evaluation) -> dict[str, bytes]:
    """Every plot by file name; that of the groups only where the annotation file states domains or factors."""
    with plain_text():
        return {name: draw(evaluation) for name, draw in PLOTS.items() if name != 'groups.png' or evaluation.groups}


def new_figure(height: float) -> Figure:
    """An empty figure of the pages' width, ``height`` inches high."""
    return Figure(figsize=(_WIDTH, height), dpi=_DPI, layout='constrained', facecolor='white')


def figure_png(figure: Figure, caption: str) -> bytes:
    """The figure above its caption, as PNG."""
    lines = textwrap.wrap(caption, 138)
    width, height = figure.get_size_inches()
    room = 0.16 * len(lines) + 0.2
    figure.set_size_inches(width, height + room)
    figure.set_layout_engine(
        ConstrainedLayoutEngine(rect=(0, room / (height + room), 1, (height - 0.06) / (height + room))))
    figure.text(0.012, (room - 0.06) / (height + room), '\n'.join(lines), fontsize=9, va='top', color='#3c3c46')
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', metadata={'Software': None})
    return buffer.getvalue()


def _largest(sizes: Sequence[int] | np.ndarray, most: int) -> list[int]:
    """Indices of the ``most`` largest, the first of equals, in their order.

    >>> _largest([3, 1, 2, 3], 3), _largest([1, 1], 1)
    ([0, 2, 3], [0])
    """
    return sorted(np.argsort(-np.asarray(sizes), kind='stable')[:most].tolist())


def _left_out(shown: Sequence[int], count: int, what: str, measure: str) -> str:
    """For the caption: that not all of ``count`` are shown; nothing where all are."""
    if len(shown) == count:
        return ''
    return f'The {len(shown)} of {count} {what} with the most {measure}; the CSV files hold all. '


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME - 1] + '…'


def _threshold(iou: float) -> int:
    return int(np.flatnonzero(np.isclose(THRESHOLDS, iou))[0])


def _evidence(evaluation: Evaluation) -> str:
    return (f'n = {plural_n(len(evaluation.truth.images), "image")}, '
            f'{plural_n(int(evaluation.counts.cells.sum()), "cell")}, '
            f'{plural_n(len(evaluation.detections), "detection")}; mmleuk evaluate.')


def _operating_point(evaluation: Evaluation, capital: bool = True) -> str:
    settings = evaluation.settings
    text = f'detections of a score of at least {settings.min_score:g}, match at IoU {settings.min_iou:g}'
    return text[0].upper() + text[1:] if capital else text


def _bars(axes: Axes, ys: np.ndarray, values: Sequence[float], colour: str, form: str) -> None:
    bars = axes.barh(ys, values, color=colour, height=0.65)
    axes.bar_label(bars, [form.format(value) for value in values], padding=3, fontsize=9)
    axes.margins(x=0.16)
    axes.set_xticks([])  # the bars carry their numbers
    axes.axvline(0, color=_INK, lw=0.8)
    axes.spines[['top', 'right', 'bottom']].set_visible(False)


def _score_plot(labels: Sequence[str], values: Sequence[tuple[float | None, float | None, str]], measure: str,
                caption: str) -> bytes:
    """Two dots per row, joined: the strict score and the lenient one; words where there is none."""
    figure = new_figure(0.34 * len(labels) + 1.1)
    axes = figure.subplots()
    for index, (strict, lenient, note) in enumerate(values):
        if strict is None or lenient is None:
            axes.text(0.01, index, note, va='center', fontsize=9, color='#5b5b66')
            continue
        axes.plot([strict, lenient], [index, index], color=FAINT, lw=2, zorder=1)
        axes.scatter([strict], [index], color=BLUE, zorder=3, label=f'{measure} (IoU 0.5 to 0.95)')
        axes.scatter([lenient], [index], facecolor='white', edgecolor=ORANGE, lw=1.8, zorder=2,
                     label=f'{measure} at IoU 0.5')
        axes.text(1.03, index, f'{strict:.3f}  {lenient:.3f}' + (f'  {note}' if note else ''), va='center', fontsize=9)
    axes.set(xlim=(-0.02, 1.25), ylim=(len(labels) - 0.4, -0.6), yticks=range(len(labels)), yticklabels=labels)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(axis='x', color='#e4e4ec')
    axes.set_axisbelow(True)
    axes.spines[['top', 'right', 'left']].set_visible(False)
    axes.spines['bottom'].set_bounds(0, 1)
    axes.tick_params(axis='y', length=0)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles[:2], names[:2], loc='outside upper center', ncols=2, frameon=False, fontsize=9)
    return figure_png(figure, caption)
