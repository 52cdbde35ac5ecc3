"""Plots of a suite: learning curves and final scores."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from benchmarking.document import has_curves, plot_name
from benchmarking.suite import Case, Suite
from benchmarking.summary import Records, RowSummary, Spread, curve, seed_of_all, summarise
from mmleuk.pictures.text import plain_text
from mmleuk.utils.files import write_atomic

_COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
_STYLES = ('-', '--', ':', '-.')
_MARKERS = ('o', 's', '^', 'D', 'v')


@plain_text()
def write_plots(suite: Suite, records: Records, folder: Path) -> list[Path]:
    """Bars of the suite's first metric, and learning curves where there are any; nothing if nothing is measured."""
    rows = {name: row for name, row in summarise(suite, records).items() if row.done}
    if not rows:
        return []
    title, key = next(iter(suite.metrics.items()))
    looks = _looks(suite)
    plots = dict(bars=_bars(rows, title, looks))
    if has_curves(suite, records):
        plots['curves'] = _curves(suite, records, rows, title, key, looks)
    return [_save(figure, folder / plot_name(suite, kind)) for kind, figure in plots.items()]


def _looks(suite: Suite) -> dict[str, dict[str, Any]]:
    """Colour, line style and marker per row: a colour per group where there are groups, else per row (7 of them)."""
    groups = list(dict.fromkeys(row.group for row in suite.rows))
    looks = {}
    for number, row in enumerate(suite.rows):
        before = [other.name for other in suite.rows[:number] if other.group == row.group]
        colour, look = (groups.index(row.group), len(before)) if len(groups) > 1 else (
            number, number // len(_COLOURS))
        looks[row.name] = dict(color=_COLOURS[colour % len(_COLOURS)], linestyle=_STYLES[look % len(_STYLES)],
                               marker=_MARKERS[look % len(_MARKERS)])
    return looks


def _curves(suite: Suite, records: Records, rows: Mapping[str, RowSummary], title: str, key: str,
            looks: Mapping[str, dict[str, Any]]) -> Figure:
    figure, axes = _empty(f'{suite.title}: {title}')
    for name, row in rows.items():
        found = [records[Case.of_row(suite.name, row.row, seed).name] for seed in row.done]
        _draw_curve(axes, curve(found, key), row.row.title, looks[name])
    axes.set_xlabel('epoch')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(title)
    axes.legend(fontsize=8, loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _draw_curve(axes: Axes, points: Mapping[int, Spread], label: str, look: dict[str, Any]) -> None:
    epochs = list(points)
    axes.plot(epochs, [point.mean for point in points.values()], label=label, markersize=3.5, **look)
    axes.fill_between(epochs, [point.low for point in points.values()], [point.high for point in points.values()],
                      color=look['color'], alpha=0.15, linewidth=0)


def _bars(rows: Mapping[str, RowSummary], title: str, looks: Mapping[str, dict[str, Any]]) -> Figure:
    seed = seed_of_all(rows)
    ring = '' if seed is None else f' (ring: seed {seed}, which all rows have)'
    figure, axes = _empty(f'{title} after the last epoch: mean, and every seed{ring}', height=1.2 + 0.4 * len(rows))
    names = [name for name in rows if title in rows[name].metrics][::-1]
    for index, name in enumerate(names):
        spread = rows[name].metrics[title]
        axes.barh(index, spread.mean, color=looks[name]['color'], alpha=0.6, height=0.65)
        axes.plot(spread.values, [index] * len(spread.values), 'k.', markersize=5)
        if seed is not None and seed in rows[name].by_seed[title]:
            axes.plot(rows[name].by_seed[title][seed], index, 'ko', markersize=8, fillstyle='none')
        axes.annotate(f'{spread.mean:.3f}', (spread.high, index), xytext=(6, 0), textcoords='offset points',
                      va='center', fontsize=8)
    colours = {rows[name].row.group: looks[name]['color'] for name in rows}
    if len(colours) > 1:
        axes.legend([Patch(color=colour, alpha=0.6) for colour in colours.values()], list(colours), fontsize=8,
                    loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False)
    axes.set_yticks(range(len(names)), [rows[name].row.title for name in names], fontsize=8)
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    return figure


def _empty(title: str, height: float = 4.5) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, height))
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    """Write a PNG; the same numbers give the same bytes (no version, no date)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110, bbox_inches='tight', metadata={'Software': None})
    return write_atomic(path, buffer.getvalue())
