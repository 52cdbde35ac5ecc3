"""The analysis of pseudo-labels as a table, files and a plot; its numbers come from ``mmleuk.evaluation``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmleuk.pictures.text import plain_text
from mmleuk.utils.files import write_atomic
from mmleuk.utils.tables import csv_text, text_table

_COLUMNS = ('epoch', 'criterion', 'class', 'images', 'taken', 'right', 'wrong_class', 'wrong_place', 'hidden',
            'precision', 'precision_any_class', 'recall', 'mean_iou')
_ALL_CLASSES = '(all)'

# Okabe and Ito's colours (2008), which colour-blind people can tell apart.
_RIGHT, _WRONG_CLASS, _WRONG_PLACE = '#009E73', '#E69F00', '#CC79A7'
_PRECISION, _ANY_CLASS, _RECALL, _CEILING = '#0072B2', '#56B4E9', '#D55E00', '#777777'


def rows(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per epoch, criterion and class, all classes together first."""
    for entry in report['epochs']:
        for criterion, found in entry['criteria'].items():
            for name, numbers in {_ALL_CLASSES: found, **found['per_class']}.items():
                row = dict(numbers, epoch=entry['epoch'], criterion=criterion, images=report['images'])
                yield {'class': name, **{key: row[key] for key in _COLUMNS if key != 'class'}}


def summary_table(report: Mapping[str, Any]) -> str:
    """What a person wants to see at once: all classes together, a line per epoch and criterion."""
    lines: list[list[object]] = [['epoch', 'criterion', 'per image', 'right', 'wrong class', 'wrong place', 'precision',
                                  'any class', 'recall', 'IoU']]
    for row in rows(report):
        if row['class'] == _ALL_CLASSES:
            names = ('right', 'wrong_class', 'wrong_place', 'precision', 'precision_any_class', 'recall', 'mean_iou')
            lines.append([row['epoch'], row['criterion'], row['taken'] / row['images'], *(row[key] for key in names)])
    return text_table(lines)


def write_analysis(report: Mapping[str, Any], out: str | Path) -> list[Path]:
    """Write pseudo_labels.json, .csv and .png into ``out``; each appears whole or not at all."""
    out = Path(out)
    return [write_atomic(out / 'pseudo_labels.json', json.dumps(report, indent=1) + '\n'),
            write_atomic(out / 'pseudo_labels.csv', csv_text(list(rows(report)), _COLUMNS)),
            write_atomic(out / 'pseudo_labels.png', plot(report))]


@plain_text()
def plot(report: Mapping[str, Any]) -> bytes:
    """PNG: quality of the pseudo-labels over epochs, and what became of the last epoch's candidates."""
    figure = Figure(figsize=(11, 4.8), layout='constrained')
    over_epochs, by_criterion = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _plot_epochs(over_epochs, report['epochs'])
    _plot_criteria(by_criterion, report['epochs'][-1], report['images'])
    hidden = sum(report['hidden'].values())
    figure.supxlabel(
        f'{Path(report["config"]).name}, {report["weights"]} weights, {report["images"]} training images with {hidden} '
        f'hidden cells.\nRight: IoU of at least {report["min_iou"]:g} with a hidden cell of the same class, each cell '
        'once; image by image, no augmentation.', fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120)
    return buffer.getvalue()


def _plot_epochs(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    curves = [('kept', 'precision', 'precision', _PRECISION, 'o-'),
              ('kept', 'precision_any_class', 'precision, any class', _ANY_CLASS, 's--'),
              ('kept', 'recall', 'recall', _RECALL, '^-'),
              ('all', 'recall', 'recall if all candidates were kept', _CEILING, 'v:')]
    for criterion, key, label, colour, style in curves:
        points = [(entry['epoch'], entry['criteria'][criterion][key]) for entry in epochs
                  if entry['criteria'].get(criterion, {}).get(key) is not None]
        if points:
            axes.plot(*zip(*points), style, color=colour, label=label, markersize=5)
    axes.set(title='Pseudo-labels (kept)', xlabel='epoch', ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc='best', fontsize=9)


def _plot_criteria(axes: Axes, entry: Mapping[str, Any], images: int) -> None:
    names = [name for name in entry['criteria'] if name != 'all']
    titles = [name if name in ('kept', 'unsure') else f'dropped by {name}' for name in names]
    left = [0.0] * len(names)
    parts = [('right', 'right', _RIGHT, ''), ('wrong_class', 'a cell, but of another class', _WRONG_CLASS, '//'),
             ('wrong_place', 'no hidden cell there', _WRONG_PLACE, 'xx')]
    for key, label, colour, hatch in parts:
        widths = [entry['criteria'][name][key] / images for name in names]
        axes.barh(titles, widths, left=left, color=colour, hatch=hatch, edgecolor='white', label=label)
        left = [start + width for start, width in zip(left, widths)]
    for position, total in enumerate(left):
        axes.text(total, position, f' {total:.2f}', va='center', fontsize=9)
    axes.set(title=f'What became of candidates, epoch {entry["epoch"]}', xlabel='candidates per image')
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.legend(loc='best', fontsize=9)
