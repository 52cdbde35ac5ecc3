"""CSV and Parquet: a row per cell, an attribute ``a`` in the columns ``a`` and ``a_prob``.

An annotated region is a row of the class ``annotated_region``; an image without cells a row without a class. Parquet
also has the classes and the attributes' values, in its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmleuk.errors import UserError
from mmleuk.exchange.labels import REGION, Known, LabelledCell, LabelledImage, Labels, with_regions
from mmleuk.utils.files import replacing, write_atomic
from mmleuk.utils.tables import csv_text, read_csv

COLUMNS = ('image', 'height', 'width', 'cell', 'class_name', 'score', 'x1', 'y1', 'x2', 'y2', 'ignore',
           'diameter_um')
_OPTIONAL = ('cell', 'score', 'ignore', 'diameter_um')
_METADATA = b'mmleuk'


def rows(labels: Labels) -> Iterator[dict[str, Any]]:
    """The table's rows; None where nothing is known."""
    keys = list(labels.all_values())
    empty = dict.fromkeys([*COLUMNS, *(column for key in keys for column in (key, f'{key}_prob'))])
    for image in labels.images:
        row = empty | dict(image=image.file_name, height=image.height, width=image.width)
        for number, cell in enumerate(image.cells, 1):
            attributes = {key: cell.attributes.get(key) for key in keys}
            probs = {f'{key}_prob': cell.probs.get(key) for key in keys}
            yield row | _box(cell.box) | dict(cell=number, class_name=cell.class_name, score=cell.score,
                                              ignore=int(cell.ignore), diameter_um=cell.diameter_um
                                              ) | attributes | probs
        for region in image.regions or ():
            yield row | _box(region) | dict(class_name=REGION)
        if not image.cells and not image.regions:
            yield row


def _box(box: Sequence[float]) -> dict[str, float]:
    return dict(zip(('x1', 'y1', 'x2', 'y2'), map(float, box), strict=True))


def write_csv(labels: Labels, out: Path) -> None:
    """A CSV file in UTF-8; names that a spreadsheet would run as a formula get an apostrophe in front."""
    _check_keys(labels)
    write_atomic(out, csv_text(list(rows(labels)), _columns(labels)))


def write_parquet(labels: Labels, out: Path) -> None:
    """A Parquet file.

    Raises:
        UserError: pyarrow is missing.
    """
    _check_keys(labels)
    arrow, parquet = _pyarrow()
    kinds = dict.fromkeys(_columns(labels), arrow.string())
    kinds |= dict.fromkeys(('height', 'width', 'cell', 'ignore'), arrow.int64())
    kinds |= dict.fromkeys(('score', 'x1', 'y1', 'x2', 'y2', 'diameter_um'), arrow.float64())
    kinds |= {name: arrow.float64() for name in kinds if name.endswith('_prob')}
    facts = json.dumps(dict(classes=list(labels.classes), attributes={k: list(v) for k, v in labels.values.items()}))
    schema = arrow.schema(list(kinds.items()), metadata={_METADATA: facts.encode()})
    with replacing(out) as temporary:
        parquet.write_table(arrow.Table.from_pylist(list(rows(labels)), schema=schema), temporary)


def _columns(labels: Labels) -> list[str]:
    return [*COLUMNS, *(column for key in labels.all_values() for column in (key, f'{key}_prob'))]


def _check_keys(labels: Labels) -> None:
    columns = _columns(labels)
    for name in columns:
        if columns.count(name) > 1:
            raise UserError(f'an attribute gets the column {name!r}, which the table has already; rename it')


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(f"Parquet needs pyarrow ({error}); install it: pip install 'mmleuk[parquet]'") from error
    return pyarrow, pyarrow.parquet


def read_csv_table(source: Path, known: Known) -> tuple[Labels, list[str]]:
    """Labels of a CSV file with these columns; others than attributes' must not be there."""
    table = read_csv(source, [name for name in COLUMNS if name not in _OPTIONAL])
    return _labels(table, known, source, [], {}), []


def read_parquet(source: Path, known: Known) -> tuple[Labels, list[str]]:
    """Labels of a Parquet file with these columns.

    Raises:
        UserError: it is none, or pyarrow is missing.
    """
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(source)
    except (OSError, arrow.ArrowException) as error:
        raise UserError(f'{source}: is no Parquet file that can be read ({error}); write it again') from error
    missing = [name for name in COLUMNS if name not in table.column_names and name not in _OPTIONAL]
    if missing:
        raise UserError(f'{source}: has no column {missing[0]!r}')
    facts = json.loads((table.schema.metadata or {}).get(_METADATA, b'{}'))
    return _labels(table.to_pylist(), known, source, facts.get('classes', []), facts.get('attributes', {})), []


def _labels(table: Sequence[Mapping[str, Any]], known: Known, source: Path, classes: Sequence[str],
            values: Mapping[str, Sequence[str]]) -> Labels:
    names = list(table[0]) if table else []
    keys = [name for name in names if name not in (*COLUMNS, 'label') and f'{name}_prob' in names]
    images: dict[str, LabelledImage] = {}
    cells: dict[str, list[LabelledCell]] = {}
    regions: dict[str, list[Any]] = {}
    for number, row in enumerate(table, 1):
        try:
            name = str(row['image'])
            images.setdefault(name, LabelledImage(name, int(row['width']), int(row['height'])))
            found, areas = cells.setdefault(name, []), regions.setdefault(name, [])
            if not row['class_name']:
                continue
            box = float(row['x1']), float(row['y1']), float(row['x2']), float(row['y2'])
            if row['class_name'] == REGION:
                areas.append(box)
                continue
            probs = {key: float(row[f'{key}_prob']) for key in keys if row[f'{key}_prob'] not in (None, '')}
            attributes = {key: str(row[key]) for key in keys if row[key] not in (None, '', 'unknown')}
            found.append(LabelledCell(str(row['class_name']), box, attributes,
                                      {key: prob for key, prob in probs.items() if key in attributes},
                                      _number(row.get('score')), str(row.get('ignore')) in ('1', '1.0', 'True'),
                                      _number(row.get('diameter_um'))))
        except (TypeError, ValueError) as error:
            raise UserError(f'{source}: row {number}: {error}; correct the table') from error
    listed = [LabelledImage(name, image.width, image.height, tuple(cells[name]), tuple(regions[name]))
              for name, image in images.items()]
    return known.labels(with_regions(listed), classes, values)


def _number(value: Any) -> float | None:
    return None if value in (None, '') else float(value)
