"""Predictions to and from JSON and CSV; every file appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, AttributeSchema
from mmleuk.structures.prediction import (
    AttributeReading,
    Cell,
    Prediction,
    Run,
    cell_to_dict,
    image_to_dict,
    run_from_dict,
    run_to_dict,
)
from mmleuk.utils.files import replacing, write_atomic
from mmleuk.utils.json_files import read_json
from mmleuk.utils.tables import csv_text, read_csv

_CELL_COLUMNS = ('image', 'height', 'width', 'cell', 'label', 'class_name', 'score', 'x1', 'y1', 'x2', 'y2')
_MEASURED = ('diameter_um',)


def to_json(run: Run, path: str | Path) -> Path:
    """Write all of ``run`` as JSON (docs/report.md lists the fields).

    Image by image: the text of a film of 10,000 cells takes 90 MB as one piece.
    """
    head = json.dumps(run_to_dict(replace(run, predictions=())), indent=1, ensure_ascii=False)
    before, after = head.split('\n "images": []', 1)
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8', errors='replace') as file:
        file.write(f'{before}\n "images": [')
        for number, prediction in enumerate(run.predictions):
            _write_image(file, prediction, ',' if number else '')
        file.write(f'{chr(10) + " " if run.predictions else ""}]{after}\n')
    return Path(path)


def _write_image(file: TextIO, prediction: Prediction, comma: str) -> None:
    """One image of the list, cell by cell, as ``json.dumps(..., indent=1)`` would write it."""
    head = json.dumps(image_to_dict(replace(prediction, cells=())), indent=1, ensure_ascii=False)
    before, after = _indented(head, 2).rsplit('\n   "cells": []', 1)
    file.write(f'{comma}\n  {before}\n   "cells": [')
    for number, cell in enumerate(prediction.cells):
        text = json.dumps(cell_to_dict(cell), indent=1, ensure_ascii=False)
        file.write(f'{"," if number else ""}\n    {_indented(text, 4)}')
    file.write(f'{chr(10) + "   " if prediction.cells else ""}]{after}')


def _indented(text: str, spaces: int) -> str:
    return text.replace('\n', '\n' + ' ' * spaces)


def from_json(path: str | Path) -> Run:
    """Read what :func:`to_json` wrote.

    Raises:
        UserError: the file is missing, isn't JSON, or isn't such a file.
    """
    return run_from_dict(read_json(path), source=str(path))


def to_csv(predictions: Sequence[Prediction], schema: AttributeSchema, path: str | Path) -> Path:
    """Write one row per cell; an attribute ``a`` fills the columns ``a`` (value's name) and ``a_prob``.

    Images without cells have no row: :func:`to_json` lists every image. Names that a spreadsheet would read as a
    formula get an apostrophe in front. ``diameter_um`` is empty where the image's scale isn't known.
    """
    rows = [dict(zip(_columns(schema), (prediction.image, *prediction.size_hw, number, cell.label, cell.class_name,
                                        cell.score, *cell.box,
                                        '' if cell.diameter_um is None else cell.diameter_um,
                                        *_attribute_columns(cell, schema)), strict=True))
            for prediction in predictions for number, cell in enumerate(prediction.cells, start=1)]
    return write_atomic(path, csv_text(rows, _columns(schema)))


def from_csv(path: str | Path, schema: AttributeSchema) -> list[Prediction]:
    """Predictions of the images that have cells, as :func:`to_csv` wrote them (paths are not in the file).

    Raises:
        UserError: the file is missing, lacks a column, or a row holds a wrong value; names the row, from 1.
    """
    cells: dict[tuple[str, int, int], list[Cell]] = {}
    needed = [column for column in _columns(schema) if column not in _MEASURED]  # older files don't have them
    for number, row in enumerate(read_csv(path, needed), start=1):
        try:
            key = (row['image'], int(row['height']), int(row['width']))
            cells.setdefault(key, []).append(_cell_from_row(row, schema))
        except ValueError as error:
            raise UserError(f'{path}: row {number}: {error}') from error
    return [Prediction(image, (height, width), tuple(found)) for (image, height, width), found in cells.items()]


def _columns(schema: AttributeSchema) -> list[str]:
    return [*_CELL_COLUMNS, *_MEASURED, *(column for key in schema.keys for column in (key, f'{key}_prob'))]


def _attribute_columns(cell: Cell, schema: AttributeSchema) -> list[object]:
    columns: list[object] = []
    for key in schema.keys:
        reading = cell.attributes.get(key)
        columns += ['', ''] if reading is None else [reading['value'], reading['prob']]
    return columns


def _cell_from_row(row: Mapping[str, str], schema: AttributeSchema) -> Cell:
    attributes: dict[str, AttributeReading] = {}
    for key in schema.keys:
        value = row[key]
        if value:
            index = IGNORE if value == 'unknown' else schema.encode(key, value)
            attributes[key] = dict(value=value, value_index=index, prob=float(row[f'{key}_prob']))
    box = (float(row['x1']), float(row['y1']), float(row['x2']), float(row['y2']))
    measured = row.get('diameter_um')
    return Cell(box, float(row['score']), int(row['label']), row['class_name'], attributes,
                diameter_um=float(measured) if measured else None)
