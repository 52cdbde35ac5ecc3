"""Open a bank: an SQLite file, or PostgreSQL by its URL."""

from __future__ import annotations

import datetime
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from mmleuk.errors import UserError

_FAILURES = (DBAPIError, sqlite3.Error)
WAIT_SECONDS = 600
"""How long a writer waits for another one's transaction."""


class Bank:
    """A bank's connections.

    Args:
        where: path of an SQLite file, or a URL such as ``postgresql://user@host/name``.
        create: make a bank where there is none.

    Raises:
        UserError: there is no bank and ``create`` is false, it is of another version, or it can't be reached.

    Example::

        with Bank('bank.db').reading() as connection:
            ...
    """

    def __init__(self, where: str | Path, *, create: bool = False) -> None:
        self.where = str(where)
        self.engine = _engine(self.where, create)
        try:
            with self.engine.connect() as connection:
                found = MigrationContext.configure(connection).get_current_revision()
            if found is None and create:
                _upgrade(self.engine)
            elif found != newest_revision():
                raise UserError(f'{self.where}: ' + (
                    'is no bank; make one with mmleuk bank add' if found is None else
                    f'was made by another version (its tables are {found}, here they are {newest_revision()}); run '
                    f'mmleuk bank upgrade {self.where}'))
        except _FAILURES as error:
            raise _unreachable(self.where, error) from error

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.engine.dialect.name == 'sqlite'

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the bank."""
        with self._transaction('BEGIN') as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept whole at its end, or not at all; another writer waits where it has to.

        Raises:
            UserError: the database refuses it (disk full, no permission, a lock for ten minutes).
        """
        with self._transaction('BEGIN IMMEDIATE') as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(begin=begin) as connection, connection.begin():
                yield connection
        except _FAILURES as error:
            raise _unreachable(self.where, error) from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def upgrade(where: str | Path) -> tuple[str | None, str]:
    """Bring a bank's tables up to date; all or nothing. Returns the revisions before and after.

    Raises:
        UserError: there is no bank, or it can't be reached.
    """
    engine = _engine(str(where), create=False)
    try:
        with engine.connect() as connection:
            before = MigrationContext.configure(connection).get_current_revision()
        if before is None:
            raise UserError(f'{where}: is no bank; make one with mmleuk bank add')
        _upgrade(engine)
    except _FAILURES as error:
        raise _unreachable(str(where), error) from error
    finally:
        engine.dispose()
    return before, newest_revision()


def newest_revision() -> str:
    """The revision that this version's tables have."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def alembic_config() -> Config:
    """Alembic's settings: where the migrations are."""
    config = Config()
    config.set_main_option('script_location', 'mmleuk.bank:migrations')
    return config


def now() -> str:
    """The time in UTC as ISO 8601, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')


def _upgrade(engine: Engine, revision: str = 'head') -> None:
    """In one transaction, so that two processes that make the same bank don't disturb each other."""
    config = alembic_config()
    with engine.connect().execution_options(begin='BEGIN IMMEDIATE') as connection, connection.begin():
        if engine.dialect.name == 'postgresql':
            connection.exec_driver_sql('SELECT pg_advisory_xact_lock(1836150891)')
        config.attributes['connection'] = connection
        command.upgrade(config, revision)


def _engine(where: str, create: bool) -> Engine:
    """Connections that begin transactions as they are told, with SQLite's settings for several processes."""
    url = _url(where, create)
    engine = create_engine(url)
    if engine.dialect.name == 'sqlite':
        event.listen(engine, 'connect', _set_up_sqlite)
        # Python's driver would begin transactions by rules of its own; here every one begins as writing() says.
        event.listen(engine, 'begin', lambda connection: connection.exec_driver_sql(
            connection.get_execution_options().get('begin', 'BEGIN')))
    return engine


def _url(where: str, create: bool) -> URL:
    if '://' in where:
        return _server(where)
    path = Path(where)
    if path.is_dir():
        raise UserError(f'{where}: is a folder; name the file of the bank in it, such as {path / "bank.db"}')
    if path.exists() and path.stat().st_size:
        with open(path, 'rb') as file:
            if file.read(16) != b'SQLite format 3\0':
                raise UserError(f'{where}: is no SQLite file; name a bank, or a new file')
    if not create and not path.exists():
        raise UserError(f'{where}: no such bank; make one with mmleuk bank add')
    if create and not path.absolute().parent.is_dir():
        raise UserError(f'{where}: there is no folder {path.absolute().parent}; make it first')
    return URL.create('sqlite', database=str(path))


def _server(where: str) -> URL:
    """PostgreSQL's URL, for the driver psycopg 3."""
    try:
        url = make_url(where)
    except (ArgumentError, ValueError) as error:
        raise UserError(f'{where}: cannot be read as a URL; give postgresql://USER@HOST/NAME') from error
    if url.get_backend_name() not in ('postgresql', 'postgres'):
        raise UserError(f'{where}: a bank is an SQLite file or PostgreSQL; give a path, or postgresql://USER@HOST/NAME')
    return url.set(drivername='postgresql+psycopg')


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f'PRAGMA busy_timeout={WAIT_SECONDS * 1000}')
    _keep_a_log(cursor)
    for setting in ('synchronous=NORMAL', 'foreign_keys=ON', 'cache_size=-65536', 'temp_store=MEMORY'):
        cursor.execute(f'PRAGMA {setting}')
    cursor.close()


def _keep_a_log(cursor: sqlite3.Cursor) -> None:
    """Let readers see a bank while another process writes to it (write-ahead log).

    A file keeps this setting, but a new one needs it. Where another process is making the same bank, SQLite refuses
    the switch at once, whatever ``busy_timeout`` says, so the waiting is done here.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            cursor.execute('PRAGMA journal_mode=WAL')
            return
        except sqlite3.OperationalError as error:
            if 'locked' not in str(error) or time.monotonic() >= deadline:
                raise
        time.sleep(0.01)


def _unreachable(where: str, error: Exception) -> UserError:
    said = ' '.join(str(error.orig if isinstance(error, DBAPIError) else error).split())
    return UserError(f'{where}: the database refuses ({said}); check the path or URL, permissions and free space')
