"""Predictions to and from JSON and CSV; every file appears whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from mmleuk.errors import UserError
from mmleuk.report.predictions import AttributeReading, Cell, Prediction, Run, run_from_dict, run_to_dict
from mmleuk.schema import IGNORE, AttributeSchema

_CELL_COLUMNS = ('image', 'height', 'width', 'cell', 'label', 'class_name', 'score', 'x1', 'y1', 'x2', 'y2')


def ensure_writable(folder: str | Path) -> Path:
    """Make ``folder`` and try a file in it, so that a long run doesn't fail at its end.

    Raises:
        UserError: it is a file, can't be made, or nothing can be written into it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f'{folder}: cannot write here ({error.strerror or error}); choose another folder') from error
    return folder


def check_target(path: str | Path) -> None:
    """Refuse a file that can't be written, before a long run; makes no folder.

    Raises:
        UserError: it is a folder, or nothing can be written into the nearest folder above it that is there.
    """
    path = Path(path).absolute()
    above = next(folder for folder in path.parents if folder.exists())
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, 'it is a folder')
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise UserError(f'{path}: cannot be written ({error.strerror or error}); choose another place') from error


def write_atomic(path: str | Path, content: str | bytes) -> Path:
    """Write beside ``path``, then rename: readers and full disks never leave half a file under its name.

    Raises:
        UserError: the folder is not writable or the disk is full; an older file stays as it was.
    """
    path = Path(path)
    # File names may hold bytes that are no UTF-8; they must not stop the rest from being written.
    data = content.encode('utf-8', errors='replace') if isinstance(content, str) else content
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        discard(temporary)
        raise UserError(f'{path}: cannot be written ({error.strerror or error}); '
                        'make room or choose another folder') from error
    return path


def discard(fragment: str | Path) -> None:
    """Remove what a failed write left, if it can be: the error to tell is the write's."""
    with suppress(OSError):
        Path(fragment).unlink()


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove what an earlier run wrote into a folder, with folders below it that this empties.

    Args:
        folder: of the run; it stays itself.
        names: of the files, below the folder and with '/'; what is gone already is fine.

    Raises:
        UserError: a file can't be removed.
    """
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
            for above in PurePosixPath(name).parents[:-1]:
                place = folder / above
                if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
                    place.rmdir()
        except OSError as error:
            raise UserError(f'{folder / name}: of an earlier run, cannot be removed ({error.strerror or error}); '
                            'remove it, or choose another folder') from error


def to_json(run: Run, path: str | Path) -> Path:
    """Write all of ``run`` as JSON (docs/report.md lists the fields)."""
    return write_atomic(path, json.dumps(run_to_dict(run), indent=1, ensure_ascii=False) + '\n')


def from_json(path: str | Path) -> Run:
    """Read what :func:`to_json` wrote.

    Raises:
        UserError: the file is missing, isn't JSON, or isn't such a file.
    """
    try:
        data = json.loads(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror or error})') from error
    except ValueError as error:
        raise UserError(f'{path}: not a JSON file ({error})') from error
    return run_from_dict(data, source=str(path))


def to_csv(predictions: Sequence[Prediction], schema: AttributeSchema, path: str | Path) -> Path:
    """Write one row per cell; an attribute ``a`` fills the columns ``a`` (value's name) and ``a_prob``.

    Images without cells have no row: :func:`to_json` lists every image.
    """
    text = io.StringIO()
    # All text is quoted: csv leaves a lone carriage return in a name bare, which splits the row.
    writer = csv.writer(text, lineterminator='\n', quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*_CELL_COLUMNS, *(column for key in schema.keys for column in (key, f'{key}_prob'))])
    for prediction in predictions:
        for number, cell in enumerate(prediction.cells, start=1):
            writer.writerow([prediction.image, *prediction.size_hw, number, cell.label, cell.class_name, cell.score,
                             *cell.box, *_attribute_columns(cell, schema)])
    return write_atomic(path, text.getvalue())


def from_csv(path: str | Path, schema: AttributeSchema) -> list[Prediction]:
    """Predictions of the images that have cells, as :func:`to_csv` wrote them (paths are not in the file).

    Raises:
        UserError: the file is missing, or a row lacks a column or holds a wrong value; names the line.
    """
    cells: dict[tuple[str, int, int], list[Cell]] = {}
    try:
        with open(path, encoding='utf-8', newline='') as file:
            reader = csv.DictReader(file)
            for row in reader:
                try:
                    key = (row['image'], int(row['height']), int(row['width']))
                    cells.setdefault(key, []).append(_cell_from_row(row, schema))
                except (KeyError, TypeError, ValueError) as error:
                    raise UserError(f'{path}: line {reader.line_num}: broken row ({error})') from error
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror or error})') from error
    return [Prediction(image, (height, width), tuple(found)) for (image, height, width), found in cells.items()]


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
    return Cell(box, float(row['score']), int(row['label']), row['class_name'], attributes)
