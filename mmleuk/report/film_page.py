"""The report of a film as one HTML page, and the same page as PDF."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmleuk.errors import UserError
from mmleuk.pictures.colours import class_styles
from mmleuk.report.render import render
from mmleuk.utils.words import percent

MAX_PICTURES = 400
"""Cells with a picture: a page of some MB. The others are named."""
PER_TYPE = 12
"""Cells of each type that stand beside its attributes."""


def pictured(report: Mapping[str, Any]) -> list[int]:
    """Ids of the cells with a picture: the ones to look at first, those beside each type, then others up to a limit."""
    wanted = [entry['cell'] for entry in report['look_first']]
    wanted += [cell for one in report['types'] for cell in one['cells'][:PER_TYPE]]
    least = len(set(wanted))
    wanted += [cell['id'] for cell in report['cells']]
    return list(dict.fromkeys(wanted))[:max(least, MAX_PICTURES)]


def render_film(report: Mapping[str, Any], pictures: Mapping[int, str], paper: bool = False) -> str:
    """The page as text; the same arguments give the same bytes.

    Args:
        report: of :func:`mmleuk.report.film.film_report`.
        pictures: of cells by id, as data URIs; cells without one are named.
        paper: for :func:`to_pdf`: without the list of cells behind every number of an attribute, which would be the
            longer part.
    """
    names = [one['name'] for one in report['types']]
    return render('film.html', report=report, pictures=pictures, facts=report['made'], percent=in_percent, paper=paper,
                  per_type=PER_TYPE, cells={cell['id']: cell for cell in report['cells']},
                  styles=class_styles(names, names),
                  found=[one for one in report['types'] if one['count']],
                  absent=[one['name'] for one in report['types'] if not one['count']])


def in_percent(part: Mapping[str, Any] | Sequence[float]) -> str:
    """A share, or an interval, in percent.

    >>> in_percent([0.004, 0.456]), in_percent(dict(share=0.5)), in_percent(dict(share=None))
    ('0.4 to 46', '50', '–')
    """
    if isinstance(part, Mapping):
        return '–' if part['share'] is None else percent(part['share'])
    return f'{percent(part[0])} to {percent(part[1])}'


def to_pdf(page: str) -> bytes:
    """The page as PDF, with its links.

    Raises:
        UserError: WeasyPrint, or Pango that it draws with, isn't installed.
    """
    try:
        from weasyprint import HTML
    except ModuleNotFoundError as error:
        raise UserError("a PDF needs WeasyPrint; run pip install 'mmleuk[bank]', or give --no-pdf") from error
    except OSError as error:  # a library that it loads
        raise UserError('a PDF needs the library Pango; run apt-get install libpango-1.0-0 libpangoft2-1.0-0, or give '
                        '--no-pdf') from error
    logging.getLogger('weasyprint').setLevel(logging.ERROR)  # it names every line of CSS that paper has no use for
    return bytes(HTML(string=page).write_pdf())
