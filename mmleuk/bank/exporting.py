"""Cells of a bank as CSV, Parquet or pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, select

from mmleuk.bank.boxes import box_text
from mmleuk.bank.queries import FoundCell, cells_by_id
from mmleuk.bank.tables import BankAttribute
from mmleuk.errors import UserError
from mmleuk.pictures.crops import cell_pictures
from mmleuk.structures.prediction import Cell, FailedImage
from mmleuk.utils.files import replacing
from mmleuk.utils.new_folder import new_folder
from mmleuk.utils.tables import Row, csv_text

_AT_ONCE = 20_000
COLUMNS: dict[str, type] = dict(
    id=int, patient=str, film=str, field=str, path=str, run=int, type=str, model_type=str, score=float, x1=float,
    y1=float, x2=float, y2=float, size_px=float, diameter_um=float, novelty=float, counted=bool, same_as=int,
    reviews=int, moved_from=str)
"""Columns of a table of cells and their types; then two per attribute, ``KEY`` and ``KEY_prob``."""


def row_of(cell: FoundCell, keys: Sequence[str]) -> Row:
    """One cell as a row; None where something is unknown."""
    own = {name: getattr(cell, name) for name in COLUMNS if name not in ('x1', 'y1', 'x2', 'y2')}
    own |= dict(zip(('x1', 'y1', 'x2', 'y2'), cell.box))
    own['moved_from'] = None if cell.moved_from is None else box_text(cell.moved_from)
    readings = {key: cell.attributes.get(key, (None, None)) for key in keys}
    values = {name: part for key, reading in readings.items() for name, part in zip((key, f'{key}_prob'), reading)}
    return {name: own[name] for name in COLUMNS} | values


def attribute_keys(connection: Connection) -> list[str]:
    """All attributes of the bank, in the order in which they came."""
    return list(connection.scalars(select(BankAttribute.key).order_by(BankAttribute.id)))


def write_csv(connection: Connection, ids: Sequence[int], path: str | Path) -> int:
    """One row per cell; returns their number. The file appears whole or not at all."""
    keys = attribute_keys(connection)
    columns = [*COLUMNS, *(name for key in keys for name in (key, f'{key}_prob'))]
    with replacing(path) as temporary, open(temporary, 'w', encoding='utf-8', errors='replace', newline='') as file:
        file.write(csv_text([], columns))
        for cells in _batches(connection, ids):
            file.write(csv_text([row_of(cell, keys) for cell in cells], columns).split('\n', 1)[1])
    return len(ids)


def write_parquet(connection: Connection, ids: Sequence[int], path: str | Path) -> int:
    """One row per cell, with types; returns their number. The file appears whole or not at all.

    Raises:
        UserError: pyarrow isn't installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise UserError("Parquet needs pyarrow; run pip install 'mmleuk[bank]', or export CSV") from error
    keys = attribute_keys(connection)
    kinds = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string(), bool: pyarrow.bool_()}
    typed = COLUMNS | {name: kind for key in keys for name, kind in ((key, str), (f'{key}_prob', float))}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in typed.items()])
    with replacing(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for cells in _batches(connection, ids):
            writer.write_table(pyarrow.Table.from_pylist([dict(row_of(cell, keys)) for cell in cells], schema))
    return len(ids)


def write_pictures(connection: Connection, ids: Sequence[int], folder: str | Path) -> tuple[int, list[FailedImage]]:
    """A new folder with a picture of each cell, in a folder per type, and ``cells.csv``.

    Returns:
        The number of pictures, and the fields whose images can't be read; their cells have none, or those above the
        damage.
    """
    failed, written = [], 0
    with new_folder(folder, doing='exporting') as unfinished:
        write_csv(connection, ids, unfinished / 'cells.csv')
        cells = [cell for batch in _batches(connection, ids) for cell in batch]
        for path, members in groupby(sorted(cells, key=lambda cell: cell.path or ''), key=lambda cell: cell.path):
            inside = list(members)
            try:
                if path is None:
                    raise UserError('the image came from no file')
                boxes = [Cell(cell.box, cell.score, 0, cell.type) for cell in inside]
                for index, picture in cell_pictures(path, boxes, inside[0].intensity):
                    target = unfinished / safe_name(inside[index].type) / f'{inside[index].id}.jpg'
                    target.parent.mkdir(exist_ok=True)
                    picture.save(target, 'JPEG', quality=90)
                    written += 1
            except UserError as error:
                failed.append(FailedImage(inside[0].field, str(error)))
    return written, failed


def safe_name(name: str) -> str:
    """A type's name as a folder's.

    >>> safe_name('a/b'), safe_name('..')
    ('a_b', '_.')
    """
    plain = ''.join('_' if char in '/\\\0' else char for char in name)
    return f'_{plain[1:]}' if plain.startswith('.') else plain


def print_rows(cells: Iterable[FoundCell], keys: Sequence[str]) -> list[list[object]]:
    """Header and rows for a table on the screen: what tells cells apart."""
    table: list[list[object]] = [['id', 'film', 'field', 'type', 'score', 'size px', 'µm', *keys]]
    for cell in cells:
        um = None if cell.diameter_um is None else f'{cell.diameter_um:.1f}'
        table.append([str(cell.id), cell.film, cell.field, cell.type, cell.score, f'{cell.size_px:.0f}', um,
                      *(cell.attributes.get(key, (None,))[0] for key in keys)])
    return table


def _batches(connection: Connection, ids: Sequence[int]) -> Iterator[list[FoundCell]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield cells_by_id(connection, ids[start:start + _AT_ONCE])
