"""Plot and page of a classifier's errors per attribute value."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import mmleuk
from mmleuk.evaluation.bias import ALL, ValueRate, findings
from mmleuk.pictures.text import plain_text
from mmleuk.report.evaluation_plots import BLUE, FAINT, ORANGE, figure_png, new_figure
from mmleuk.report.render import render
from mmleuk.utils.tables import Row
from mmleuk.utils.words import plural_n

_MOST_ROWS = 45
MOST_SENTENCES = 10
COLUMNS = ('scope', 'attribute', 'value', 'cells', 'errors', 'rate', 'rate_low', 'rate_high', 'other_cells',
           'other_errors', 'other_rate', 'p', 'q', 'finding', 'in_training')


def bias_row(rate: ValueRate, alpha: float) -> Row:
    """One line of the CSV file."""
    low, high = rate.interval or (None, None)
    return dict(zip(COLUMNS, (rate.scope, rate.key, rate.value, rate.n, rate.errors, rate.rate, low, high,
                              rate.other_n, rate.other_errors, rate.other_rate, rate.p, rate.q,
                              'yes' if rate.is_finding(alpha) else 'no', rate.in_training), strict=True))


def _page_row(rate: ValueRate) -> Row:
    """One line of the page's tables: fewer columns than the CSV file."""
    low, high = rate.interval or (None, None)
    return {'scope': rate.scope, 'attribute': rate.key.replace('_', ' '), 'value': rate.value,
            'errors': f'{rate.errors} of {rate.n}', 'rate': rate.rate,
            '95% interval': '' if low is None or high is None else f'{low:.3f}–{high:.3f}',
            'other values': f'{rate.other_errors} of {rate.other_n}', 'their rate': rate.other_rate,
            'q': f'{rate.q:.2g}', 'in training': rate.in_training}


def bias_sentences(rates: Sequence[ValueRate], alpha: float) -> list[str]:
    """What was found, in words: a sentence for each of the first findings, or one that says that there is none."""
    found = findings(rates, alpha)
    if not found:
        return [f'No attribute value has more errors than the others, at a share of false findings of {alpha:g} '
                f'({plural_n(len(rates), "rate")} compared).']
    sentences = [_sentence(rate) for rate in found[:MOST_SENTENCES]]
    more = len(found) - len(sentences)
    return [*sentences, f'... and {more} more in the table.'] if more else sentences


def _sentence(rate: ValueRate) -> str:
    assert rate.rate is not None and rate.other_rate is not None
    what = 'of the cells with it' if rate.scope == ALL else f'of the {rate.scope} cells with it'
    error = 'get a wrong type' if rate.scope == ALL else 'are missed'
    seen = '' if rate.in_training is None else f'; training has {plural_n(rate.in_training, "such cell")}'
    return (f'{rate.key.replace("_", " ")} {rate.value}: {rate.rate:.0%} {what} {error} ({rate.errors} of '
            f'{rate.n}), without it {rate.other_rate:.0%} ({rate.other_errors} of {rate.other_n}); '
            f'q = {rate.q:.2g}{seen}.')


def bias_plot(rates: Sequence[ValueRate], alpha: float) -> bytes:
    """Rates with intervals: all values over all cells, and the findings of single types; PNG."""
    found = findings(rates, alpha)
    overall = [rate for rate in rates if rate.scope == ALL and rate.n]
    shown = [*overall[:_MOST_ROWS], *[rate for rate in found if rate.scope != ALL][:_MOST_ROWS]]
    with plain_text():
        figure = new_figure(0.27 * max(len(shown), 1) + 1.0)
        axes = figure.subplots()
        for index, rate in enumerate(shown):
            low, high = rate.interval or (0.0, 0.0)
            colour = ORANGE if rate.is_finding(alpha) else BLUE
            axes.plot([low, high], [index, index], color=colour, lw=2)
            axes.scatter([rate.rate or 0.0], [index], color=colour, zorder=3)
            if rate.other_rate is not None:
                axes.scatter([rate.other_rate], [index], marker='|', color='#5b5b66', zorder=2)
            training = '' if rate.in_training is None else f'   {rate.in_training} in training'
            axes.text(1.03, index, f'{rate.errors} of {rate.n}{training}', va='center', fontsize=9)
        axes.set(xlim=(-0.02, 1.4), ylim=(len(shown) - 0.4, -0.6), yticks=range(len(shown)),
                 yticklabels=[_label(rate) for rate in shown], xticks=[0, 0.25, 0.5, 0.75, 1])
        axes.grid(axis='x', color=FAINT, alpha=0.5)
        axes.set_axisbelow(True)
        axes.spines[['top', 'right', 'left']].set_visible(False)
        axes.spines['bottom'].set_bounds(0, 1)
        axes.tick_params(axis='y', length=0)
        return figure_png(figure, 'Share of wrong types among the cells with each attribute value, with 95% interval; '
                          'below, with a type in front, findings among the cells of that type: share of missed cells. '
                          'Strokes: the cells with another value. Orange: findings, higher than elsewhere at a share '
                          f'of false findings of {alpha:g}. The CSV file has all rates. mmleuk bias.')


def _label(rate: ValueRate) -> str:
    scope = '' if rate.scope == ALL else f'{rate.scope}: '
    return f'{scope}{rate.key.replace("_", " ")} {rate.value}'


def render_bias(rates: Sequence[ValueRate], alpha: float, plot: bytes, facts: Mapping[str, str]) -> str:
    """The page as text; the same arguments give the same bytes.

    Args:
        rates: of all values.
        alpha: share of false findings.
        plot: PNG.
        facts: where the numbers come from, by name.
    """
    return render('bias.html', sentences=bias_sentences(rates, alpha), has_findings=bool(findings(rates, alpha)),
                  plot=base64.b64encode(plot).decode('ascii'), alpha=f'{alpha:g}',
                  found=[_page_row(rate) for rate in findings(rates, alpha)],
                  rows=[_page_row(rate) for rate in rates], facts={**facts, 'mmleuk': mmleuk.__version__})
