"""Insert many rows quickly: PostgreSQL's COPY; one prepared statement and indices made afterwards for SQLite."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.orm import DeclarativeBase

Rows = Iterable[tuple[Any, ...]]


def bulk_insert(connection: Connection, model: type[DeclarativeBase], columns: Sequence[str], rows: Rows) -> None:
    """Insert ``rows`` of ``columns`` in the connection's transaction. JSON comes as text, and None is NULL."""
    table = model.__table__
    assert isinstance(table, Table)
    if connection.dialect.driver == 'psycopg':
        names = ', '.join(f'"{name}"' for name in columns)
        # The driver's own connection takes part in SQLAlchemy's transaction.
        with connection.connection.cursor().copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)
        return
    names, marks = ', '.join(columns), ', '.join('?' * len(columns))
    rows = list(rows)
    if rows:
        connection.exec_driver_sql(f'INSERT INTO {table.name} ({names}) VALUES ({marks})', rows)


@contextmanager
def indices_afterwards(connection: Connection, model: type[DeclarativeBase], wanted: bool) -> Iterator[None]:
    """Drop a table's indices and make them again after an insertion: quicker than to keep them up to date.

    In the connection's transaction, so that nobody sees the table without them, also after a crash. SQLite only: in
    PostgreSQL it would keep readers waiting.

    Args:
        connection: of the transaction.
        model: the table.
        wanted: whether to; it costs as much as the whole table is long.
    """
    table = model.__table__
    assert isinstance(table, Table)
    indices = sorted(table.indexes, key=lambda index: str(index.name)) if wanted and (
        connection.dialect.name == 'sqlite') else []
    for index in indices:
        index.drop(connection)
    yield
    for index in indices:
        index.create(connection)


@contextmanager
def no_collector() -> Iterator[None]:
    """Without Python's search for cycles, which walks through all of a run's objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
