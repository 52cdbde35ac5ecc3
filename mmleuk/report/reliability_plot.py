"""Reliability of attributes' probabilities as PNG: confidence against the share of right values."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmleuk.evaluation.reliability import Reliability
from mmleuk.pictures.text import plain_text

_DPI, _PANELS_PER_ROW, _PANEL = 110, 4, 2.5  # inches
_FEW = 10
_INK, _FAINT, _BLUE = '#1b1b1f', '#b9b9c4', '#0072B2'


@plain_text()
def reliability_plot(found: Mapping[str, Reliability]) -> bytes:
    """One panel per name: points on the diagonal mean what they say; their area grows with the number of predictions.

    Points of fewer than ten predictions are grey: chance moves them far.

    Args:
        found: at least one, by the name of the attribute.
    """
    columns = min(_PANELS_PER_ROW, len(found))
    rows = -(-len(found) // columns)
    figure = Figure((columns * _PANEL + 0.4, rows * (_PANEL + 0.2) + 0.3), dpi=_DPI, layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(found):]:
        axes.set_visible(False)
    for axes, (name, each) in zip(panels.flat, found.items()):
        _panel(axes, name, each)
    figure.supxlabel('probability of the predicted value', fontsize=10)
    figure.supylabel('share that is right', fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()


def _panel(axes: Axes, name: str, found: Reliability) -> None:
    total, filled = int(found.count.sum()), found.count > 0
    axes.plot([0, 1], [0, 1], color=_FAINT, lw=1)
    for chosen, colour in ((filled & (found.count < _FEW), _FAINT), (found.count >= _FEW, _BLUE)):
        axes.scatter(found.confidence[chosen], found.accuracy[chosen], color=colour,
                     s=6 + 80 * np.sqrt(found.count[chosen] / max(total, 1)), zorder=3)
    axes.set(xlim=(0, 1.04), ylim=(0, 1.04), aspect='equal')
    axes.set_title(name, fontsize=10, color=_INK)
    words = f'n = {total:,}\nECE {found.ece:.3f}' if total else 'no known value'
    axes.text(0.04, 0.98, words, va='top', fontsize=8, color=_INK)
