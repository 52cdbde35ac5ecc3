"""Insert many rows quickly: PostgreSQL's COPY, and one prepared statement for SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
