"""Tables with a row per cell image, a name and attribute values, such as WBCAtt's CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema, SchemaError
from mmleuk.utils.tables import read_csv


@dataclass(frozen=True)
class AttributeTable:
    """The attribute values of N cells.

    Args:
        source: the file.
        names: of the cells, unique.
        schema: A attributes.
        values: (N, A) int, IGNORE where unknown.
        labels: type of each cell; empty if no column for it was asked for.
    """

    source: str
    names: tuple[str, ...]
    schema: AttributeSchema
    values: np.ndarray
    labels: tuple[str, ...] = ()

    def rows_of(self, names: Sequence[str]) -> np.ndarray:
        """Row of each of these names.

        Raises:
            UserError: a name isn't in the table.
        """
        row_of = {name: row for row, name in enumerate(self.names)}
        for name in names:
            if name not in row_of:
                raise UserError(f'{self.source}: has no row for {name!r}')
        return np.array([row_of[name] for name in names], int)


def read_attribute_table(path: str | Path, schema: AttributeSchema | None = None, *, name_column: str = 'img_name',
                         label_column: str | None = None, not_attributes: Sequence[str] = ()) -> AttributeTable:
    """Read a CSV file; an empty field is an unknown value.

    Args:
        path: CSV in UTF-8.
        schema: attributes to read; a column has the attribute's key or an alias of it. None: every other column with 2
            to 50 different values is an attribute.
        name_column, label_column: of the name and, if wanted, of the cell's type.
        not_attributes: columns that are none, without ``schema``.

    Raises:
        UserError: the file, a column or a value is wrong, or a name occurs twice; it names file and row (the header is
            row 1).
    """
    known = [name_column] if label_column is None else [name_column, label_column]
    rows = read_csv(path, known)
    if not rows:
        raise UserError(f'{path}: has no row')
    if schema is None:
        schema = _schema_of(path, rows, [*known, *not_attributes])
    column_of = {attribute.key: _column(path, list(rows[0]), (attribute.key, *attribute.aliases))
                 for attribute in schema.attributes}
    values = np.full((len(rows), len(schema)), -1)
    first_row: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        name = row[name_column].strip()
        if name in first_row:
            raise UserError(f'{path}: row {number}: {name!r} has a row already, {first_row[name]}; keep one of them')
        first_row[name] = number
        try:
            values[number - 2] = [schema.encode(key, row[column].strip()) for key, column in column_of.items()]
        except SchemaError as error:
            raise UserError(f'{path}: row {number}: {error}') from error
    labels = () if label_column is None else tuple(row[label_column].strip() for row in rows)
    return AttributeTable(str(path), tuple(first_row), schema, values, labels)


def _column(path: str | Path, header: Sequence[str], names: Sequence[str]) -> str:
    found = [name for name in names if name in header]
    if not found:
        raise UserError(f'{path}: has no column {names[0]!r}; its columns are {", ".join(header)}')
    return found[0]


MOST_VALUES = 50


def _schema_of(path: str | Path, rows: Sequence[dict[str, str]], known: Sequence[str]) -> AttributeSchema:
    seen = {column: sorted({row[column].strip() for row in rows} - {''}) for column in rows[0] if column not in known}
    attributes = {column: values for column, values in seen.items() if 2 <= len(values) <= MOST_VALUES}
    if not attributes:
        raise UserError(f'{path}: no column has 2 to {MOST_VALUES} different values, so none is an attribute')
    return AttributeSchema.from_dict(attributes)
