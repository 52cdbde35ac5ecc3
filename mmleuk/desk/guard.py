"""Who may ask a local server: this machine's own browser, or somebody with the token; and how much may be sent."""

from __future__ import annotations

import secrets
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ('127.0.0.1', 'localhost', '::1')
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
          "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
"""No page loads anything from elsewhere."""
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; frame-ancestors 'self'"
"""For written reports, whose styles stand in the page; they have no scripts."""


def new_token() -> str:
    """A token that can't be guessed."""
    return secrets.token_urlsafe(24)


class Guard:
    """Refuses requests that are too large, or of somebody who may not ask; adds headers to every answer.

    Without a token only names of this machine are answered: a page of another site can have its own name point here
    (DNS rebinding). A request that changes something must come from a page of this server.

    Args:
        app: to protect.
        token: that every request needs, as a cookie, ``Authorization: Bearer``, or once as ``?token=``; None: only this
            machine can ask.
        max_bytes: largest body of a request.
    """

    def __init__(self, app: ASGIApp, token: str | None, max_bytes: int) -> None:
        self.app, self.token, self.max_bytes = app, token, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        body = Body(receive, self.max_bytes)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        answer = _with_headers(send)
        try:
            await self.app(scope, body, answer)
        except TooLarge:
            await _error(413, f'the request is larger than {self.max_bytes / 1e6:g} MB')(scope, receive, answer)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get('host', '')
        if self.token is None:
            if _parts(host)[0] not in LOOPBACK:
                return _error(403, f'this server answers to localhost only, not to {host!r}')
        elif not self._has_token(headers):
            return self._with_token(scope)
        origin = headers.get('origin')
        if scope['method'] not in ('GET', 'HEAD') and origin is not None and origin.partition('://')[2] != host:
            return _error(403, 'the request comes from another site')
        length = headers.get('content-length', '0')
        if not length.isdigit() or int(length) > self.max_bytes:
            return _error(413, f'the request is larger than {self.max_bytes / 1e6:g} MB')
        return None

    def _has_token(self, headers: Headers) -> bool:
        cookie = SimpleCookie(headers.get('cookie', '')).get(self._cookie(headers))
        given = [cookie.value if cookie else '', headers.get('authorization', '').removeprefix('Bearer ')]
        return any(secrets.compare_digest(one.encode(), str(self.token).encode()) for one in given)

    def _with_token(self, scope: Scope) -> Response:
        given = parse_qs(scope.get('query_string', b'').decode('latin-1')).get('token', [''])[0]
        if scope['method'] != 'GET' or not secrets.compare_digest(given.encode(), str(self.token).encode()):
            return _error(401, 'this server needs its token; open the address that it printed')
        answer = RedirectResponse(scope['path'], 303)
        answer.set_cookie(self._cookie(Headers(scope=scope)), given, httponly=True, samesite='strict')
        return answer

    @staticmethod
    def _cookie(headers: Headers) -> str:
        """Cookies don't know ports, so that the name does: two servers on one machine keep apart."""
        return f'mmleuk_{_parts(headers.get("host", ""))[1] or 80}'


class TooLarge(Exception):
    """A body went on after its limit."""


class Body:
    """Counts what is received; a client may announce less than it sends."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self.receive, self.left = receive, max_bytes

    async def __call__(self) -> Message:
        """The next part."""
        message = await self.receive()
        self.left -= len(message.get('body', b''))
        if self.left < 0:
            raise TooLarge
        return message


def _parts(host: str) -> tuple[str | None, int | None]:
    """Name and port; None of what is no address."""
    try:
        found = urlsplit(f'//{host}')
        return found.hostname, found.port
    except ValueError:
        return None, None


def _error(status: int, text: str) -> Response:
    return JSONResponse({'error': text}, status)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message['type'] == 'http.response.start':
            headers = MutableHeaders(scope=message)
            headers.setdefault('content-security-policy', POLICY)
            headers.setdefault('cache-control', 'no-store')
            for name, value in (('x-content-type-options', 'nosniff'), ('referrer-policy', 'no-referrer'),
                                ('cross-origin-resource-policy', 'same-origin')):
                headers[name] = value
        await send(message)
    return sent
