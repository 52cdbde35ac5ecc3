"""Banks to test on: a file, and a real PostgreSQL server that the tests start and stop."""

import os
import pwd
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

import psycopg
import pytest


def server_programs() -> Path | None:
    """The folder with initdb and postgres: on PATH, or where Debian puts them."""
    found = shutil.which('initdb')
    debian = sorted(Path('/usr/lib/postgresql').glob('*/bin'), reverse=True)
    folders = [Path(found).resolve().parent] if found else debian
    return next((folder for folder in folders if (folder / 'initdb').is_file()), None)


def server_user() -> str | None:
    """Who runs the server: PostgreSQL refuses root. None where root finds no other user."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    users = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ('postgres', 'nobody') if name in users), None)


@pytest.fixture(scope='session')
def postgres_server():
    """Folder of the socket of a running server, which ends with the tests."""
    programs, user = server_programs(), server_user()
    if programs is None or user is None:
        pytest.skip('needs PostgreSQL (apt-get install postgresql)')
    # pytest's own folders are closed to other users, and a socket's path must be short
    root = Path(tempfile.mkdtemp(prefix='mmleuk_pg_'))
    as_user = dict(user=user) if not os.geteuid() else {}
    try:
        shutil.chown(root, user)
        subprocess.run([programs / 'initdb', '-D', root / 'data', '-U', user, '--auth=trust', '--no-sync', '-E', 'UTF8',
                        '--locale=C.UTF-8'], check=True, capture_output=True, **as_user)
        subprocess.run([programs / 'pg_ctl', '-D', root / 'data', '-w', '-l', root / 'log', '-o',
                        f"-k {root} -c listen_addresses=''", 'start'], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, **as_user)
        yield root, user
        subprocess.run([programs / 'pg_ctl', '-D', root / 'data', '-m', 'immediate', 'stop'], check=True,
                       capture_output=True, **as_user)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server, request):
    """URL of a new, empty database."""
    root, user = postgres_server
    name = f'bank_{zlib.crc32(request.node.nodeid.encode()):x}'
    with psycopg.connect(host=str(root), user=user, dbname='postgres', autocommit=True) as server:
        server.execute(f'CREATE DATABASE {name}')
        yield f'postgresql://{user}@/{name}?host={root}'
        server.execute(f'DROP DATABASE {name} WITH (FORCE)')


@pytest.fixture(params=['sqlite', 'postgres'])
def where(request, tmp_path):
    """Path or URL of a bank that isn't there yet, once per kind of database."""
    return str(tmp_path / 'bank.db') if request.param == 'sqlite' else request.getfixturevalue('postgres_url')
