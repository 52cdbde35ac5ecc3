"""The pages' templates, filled: HTML in mmleuk/report/templates, every value escaped."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmleuk.utils.tables import Row, shown
from mmleuk.utils.words import listed, plural_n


def render(template: str, **values: object) -> str:
    """A page as text: no fonts, scripts or files from elsewhere; the same values give the same bytes.

    Args:
        template: file name in mmleuk/report/templates.
        values: what the template names; one that it names and doesn't get is an error.
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / 'templates'), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                              keep_trailing_newline=True)
    # File names may hold bytes that are no UTF-8: links quote what the disk has.
    environment.filters.update(shown=shown, filled_columns=filled_columns, plural_n=plural_n, listed=listed,
                               quoted=lambda path: quote(os.fsencode(path)))
    return environment


def filled_columns(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """Columns of a table with an entry in any row, and whether they hold text; the means stay, also when unknown."""
    return [(name, any(isinstance(row[name], str) for row in rows)) for name in rows[0]
            if name in ('mAP', 'mAR') or any(row[name] not in (None, '') for row in rows)]
