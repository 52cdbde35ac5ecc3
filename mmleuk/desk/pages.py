"""What the servers of both pages share: static files, one-line errors, start and address."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from mmleuk.desk.guard import LOOPBACK, Guard, new_token
from mmleuk.errors import UserError

STATIC = Path(__file__).parent / 'static'


def new_app(page: str, token: str | None, max_bytes: int) -> FastAPI:
    """A server with one page at '/', its static files, and errors as ``{"error": "one line"}``.

    Args:
        page: file name in ``static/``.
        token: see :class:`mmleuk.desk.guard.Guard`.
        max_bytes: largest body of a request.
    """
    # FastAPI's own pages about the interface load scripts from the internet.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, token=token, max_bytes=max_bytes)
    app.mount('/static', StaticFiles(directory=STATIC), name='static')

    @app.get('/')
    def start() -> FileResponse:
        return FileResponse(STATIC / page)

    @app.exception_handler(UserError)
    def user_error(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({'error': str(error)}, 400)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({'error': f'{".".join(map(str, first["loc"]))}: {first["msg"]}'}, 422)

    return app


def token_for(host: str) -> str | None:
    """A new token where other machines can reach the server; None for this machine alone."""
    return None if host in LOOPBACK else new_token()


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on; port 0 takes a free one.

    Raises:
        UserError: the address isn't this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        with closing(socket.socket(family)) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, port))
            found.listen()  # who asks before the server runs waits for it, and isn't refused
            return found.dup()
    except (OSError, OverflowError) as error:
        raise UserError(f'cannot serve on {host} port {port} ({getattr(error, "strerror", None) or error}); choose '
                        'another --port or --host') from error


def serve(app: FastAPI, found: socket.socket, token: str | None, what: str) -> None:
    """Print the address and serve until Ctrl-C."""
    host, port = found.getsockname()[:2]
    shown = f'[{host}]' if ':' in host else host
    sys.stdout.write(f'{what}: http://{shown}:{port}/{f"?token={token}" if token else ""}   (Ctrl-C ends it)\n')
    sys.stdout.flush()
    _server(app, seconds_to_end=3).run([found])


def _server(app: FastAPI, seconds_to_end: int) -> uvicorn.Server:
    """A server that leaves the logging of its process alone.

    Uvicorn's own configuration closes all handlers that exist; absl's, which comes with TensorBoard, closes its stream.
    """
    return uvicorn.Server(uvicorn.Config(app, log_level='warning', log_config=None, access_log=False,
                                         timeout_graceful_shutdown=seconds_to_end))


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an app that a thread serves on this machine meanwhile."""
    with listen('127.0.0.1', 0) as found:
        server = _server(app, seconds_to_end=2)
        thread = threading.Thread(target=server.run, args=([found],), daemon=True)
        thread.start()
        try:
            yield f'http://127.0.0.1:{found.getsockname()[1]}'
        finally:
            server.should_exit = True
            thread.join(timeout=20)
