"""The pages' templates, filled: HTML in mmleuk/report/templates, every value escaped."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmleuk.utils.tables import shown
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
    environment.filters.update(shown=shown, plural_n=plural_n, listed=listed,
                               quoted=lambda path: quote(os.fsencode(path)))
    return environment
