"""Options that the local servers share, and the extra that they need."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from mmleuk.errors import UserError


def add_server_arguments(parser: argparse.ArgumentParser, port: int) -> None:
    """Where to serve."""
    parser.add_argument('--host', default='127.0.0.1', help='address to serve on (default: 127.0.0.1, this machine '
                        'only); with another one, such as 0.0.0.0, a token is needed, which is in the printed address')
    parser.add_argument('--port', type=int, default=port, help=f'(default: {port}; 0: a free one)')


def need_desk() -> None:
    """Refuse to start without the extra.

    Raises:
        UserError: FastAPI, uvicorn or python-multipart isn't installed.
    """
    missing = [name for name in ('fastapi', 'uvicorn', 'python_multipart') if find_spec(name) is None]
    if missing:
        raise UserError(f"the page needs {', '.join(missing)}; run pip install 'mmleuk[desk]'")
