"""Tables for people (Markdown, aligned text) and for programs (CSV)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from mmleuk.errors import UserError

Row = Mapping[str, Any]
"""One row: values by column name; None is an unknown value."""

# Excel and LibreOffice run a cell that starts with one of these as a formula. An apostrophe before it prevents this.
# A text that has an apostrophe there already gets another, so that reading removes exactly what writing added.
_FORMULA = re.compile("'*[=+@\t\r\n＝＋－＠-]")
_NUMBER = re.compile(r'[\d.,%–-]*')


def shown(value: object) -> str:
    """A value for people: three decimals, commas between thousands, a dash for an unknown value.

    >>> shown(0.12345), shown(1234567), shown(None), shown('RBC')
    ('0.123', '1,234,567', '–', 'RBC')
    """
    if value is None:
        return '–'
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    return f'{value:,}' if isinstance(value, Integral) else f'{float(value):.3f}'


def lines(rows: Sequence[Row], columns: Sequence[str]) -> list[list[object]]:
    """The header and these columns of ``rows``, for :func:`markdown_table` and :func:`text_table`.

    >>> lines([{'AP_50': 0.5, 'note': ''}], ['AP_50'])
    [['AP 50'], [0.5]]
    """
    return [[name.replace('_', ' ') for name in columns], *([row[name] for name in columns] for row in rows)]


def markdown_table(lines: Sequence[Sequence[object]]) -> str:
    """Lines as a Markdown table; the first line is the header.

    >>> print(markdown_table([['a', 'b'], [1, 'x|y']]))
    | a | b |
    | --- | --- |
    | 1 | x\\|y |
    """
    head, *body = [[' '.join(shown(cell).split('\n')).replace('|', '\\|') for cell in line] for line in lines]
    return '\n'.join(f'| {" | ".join(line)} |' for line in [head, ['---'] * len(head), *body])


def text_table(lines: Sequence[Sequence[object]]) -> str:
    """Lines as columns of text, numbers aligned to the right; the first line is the header.

    >>> print(text_table([['class', 'cells'], ['WBC', 12], ['RBC', 1234], ['Platelets', None]]))
    class      cells
    WBC           12
    RBC        1,234
    Platelets      –
    """
    texts = [[shown(cell) for cell in line] for line in lines]
    columns = list(zip(*texts, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [len(column) > 1 and all(_NUMBER.fullmatch(text) for text in column[1:]) and any(column[1:])
             for column in columns]
    return '\n'.join('  '.join(text.rjust(width) if to_right else text.ljust(width)
                               for text, width, to_right in zip(line, widths, right)).rstrip() for line in texts)


def csv_text(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Rows as CSV that :func:`read_csv` reads back exactly; None is an empty field.

    Text is quoted. Text that a spreadsheet would run as a formula gets an apostrophe in front. Numbers stay numbers.

    Args:
        rows: all with the same keys.
        columns: to write; default: those of the first row. Without rows and columns the text is empty.

    >>> print(csv_text([{'image': '=1+1', 'x1': -2.5}]), end='')
    "image","x1"
    "'=1+1",-2.5
    """
    import pandas  # late: half a second that most commands don't need
    names = list(rows[0]) if columns is None and rows else list(columns or [])
    if not names:
        return ''
    # As objects: else pandas writes 3 as 3.0 if the column has a None, and fails for names that aren't UTF-8.
    cells = [[_unlike_a_formula(row[name]) for name in names] for row in rows]
    head = pandas.Index([_unlike_a_formula(name) for name in names], dtype=object)
    return pandas.DataFrame(cells, columns=head, dtype=object).to_csv(
        index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator='\n')


def read_csv(path: str | Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file as text by column; an empty field is ''.

    Args:
        path: of the file, UTF-8 with or without a byte-order mark.
        columns: required columns; the file may have others.

    Raises:
        UserError: the file is missing, isn't text or a table, or lacks a column.
    """
    import pandas
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            frame = pandas.read_csv(file, header=None, dtype=object, na_filter=False, engine='python')
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror or error})') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path}: byte {error.start}: not UTF-8 text; save the table as CSV in UTF-8') from error
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        raise UserError(f'{path}: not a CSV table ({" ".join(str(error).split())})') from error
    head, *body = frame.itertuples(index=False, name=None)
    names = [_as_written(name) for name in head]
    if missing := [name for name in columns if name not in names]:
        raise UserError(f'{path}: has no column {missing[0]!r}; its columns are {", ".join(names)}')
    rows = []
    for number, row in enumerate(body, start=1):
        if None in row:
            raise UserError(f'{path}: row {number}: ends after {row.index(None)} of {len(names)} columns')
        rows.append(dict(zip(names, map(_as_written, row))))
    return rows


def _unlike_a_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _as_written(text: str) -> str:
    """The text before :func:`_unlike_a_formula`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
