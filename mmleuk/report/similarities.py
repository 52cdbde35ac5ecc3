"""Similarities of labelled cells as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping

from matplotlib.figure import Figure

from mmleuk.evaluation.similarities import Similarities
from mmleuk.pictures.text import plain_text

_DPI, _PANEL = 110, 3.4  # inches
_FAINT, _BLUE, _ORANGE = '#b9b9c4', '#0072B2', '#D55E00'


@plain_text()
def similarity_plot(found: Mapping[str, Similarities]) -> bytes:
    """PNG with a panel per kind of features: a point per cell, its Max_Sim over its Min_Sim.

    L_Tri pushes points below the diagonal; blue ones lie there. Shares are means over types.

    Args:
        found: at least one, by the panel's title.
    """
    figure = Figure((len(found) * _PANEL + 0.3, _PANEL + 0.5), dpi=_DPI, layout='constrained')
    for axes, (title, each) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items()):
        low, high = each.least_same.numpy(), each.most_other.numpy()
        below = low > high
        start = min([0.0, *low.tolist(), *high.tolist()])
        axes.plot([start, 1], [start, 1], color=_FAINT, lw=1)
        for chosen, colour in ((~below, _ORANGE), (below, _BLUE)):
            axes.scatter(low[chosen], high[chosen], s=4, color=colour, alpha=0.4, linewidths=0)
        axes.set(xlim=(start, 1.02), ylim=(start, 1.02), aspect='equal')
        axes.set_title(f'{title}\nwithout loss {each.satisfied:.1%}, nearest cell right {each.nearest_right:.0%}, '
                       f'n = {len(low):,}', fontsize=8)
    figure.supxlabel('similarity to the least similar cell of its type (Min_Sim)', fontsize=9)
    figure.supylabel('to the most similar cell of another type (Max_Sim)', fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()
