"""The gate before every request: who may ask, how much may be sent, what the browser is told to refuse."""

import re
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect

Scope = MutableMapping[str, Any]
App = Callable[..., Any]

MEGABYTE = 2**20
UPLOAD_PATH = "/gradio_api/upload"
SMALL_BODIES = {"/rank": 200_000, "/demo": 200_000, "/lead": 8192}  # what strangers may send, in bytes
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII)

# Gradio's page needs inline scripts and templates compiled in the browser; nothing may come from another host.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
# Pages of our own that everybody with a link may open: nothing inline, no code from text.
STRICT = ("/rank", "/demo", "/lead")
_STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "content-security-policy": _POLICY,
}
# Gradio's scripts carry the hash of their content in their names, and a page has some seventy of them.
HASHED, FOR_GOOD = re.compile(r"/assets/.+-[\w-]{8,}\.\w+"), (b"cache-control", b"public, max-age=31536000, immutable")


class _TooLarge(Exception):
    pass


class Gate:
    """ASGI middleware. Refuses a Host that is not allowed, a foreign Origin and a body over the limit.

    The Host check stops DNS rebinding, the Origin check requests that another site's page makes, whatever the method.
    `body_limit` and `upload_limit` are in bytes.
    """

    def __init__(self, app: App, hosts: tuple[str, ...], body_limit: int, upload_limit: int) -> None:
        self._app, self._hosts = app, {host.strip("[]").lower() for host in hosts}
        self._body_limit, self._upload_limit = body_limit, upload_limit

    async def __call__(self, scope: Scope, receive: App, send: App) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # What a trusted proxy said of address and scheme is in the scope by now; Gradio would build its addresses from
        # the rest, which anybody may send.
        scope["headers"] = [pair for pair in scope["headers"] if not pair[0].lower().startswith(b"x-forwarded")]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        status, reason = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            await (send({"type": "websocket.close", "code": 1008}) if status else self._app(scope, receive, send))
        elif status:
            await _answer(_marked(send, scope), status, reason)
        else:
            await self._limited(scope, receive, _marked(send, scope))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str]:
        host = headers.get("host", "")
        if _host_name(host) not in self._hosts:
            return 421, "This host name is not served here; start the app with --allow-host NAME."
        origin = headers.get("origin")
        if origin is not None and _net_location(origin) != host:
            return 403, "A page of another site may not use this lab."
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and (headers.get("sec-fetch-mode") != "navigate" or scope.get("method") != "GET"):
            return 403, "A page of another site may not use this lab."
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._limit(scope):
            return 413, _too_large(self._limit(scope))
        return 0, ""

    def _limit(self, scope: Scope) -> int:
        path = scope.get("path", "")
        if path == UPLOAD_PATH:
            return self._upload_limit
        small = [limit for place, limit in SMALL_BODIES.items() if path == place or path.startswith(f"{place}/")]
        return min([self._body_limit, *small])

    async def _limited(self, scope: Scope, receive: App, send: App) -> None:
        """Counts what comes without a declared length, too."""
        got, started, limit = 0, False, self._limit(scope)

        async def counted() -> Any:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > limit:
                raise _TooLarge
            return message

        async def noted(message: Any) -> None:
            nonlocal started
            if got <= limit or started:
                started = True
                await send(message)

        with suppress(_TooLarge, ClientDisconnect):  # nobody is there any more to whom a problem could be told
            await self._app(scope, counted, noted)
        if got > limit and not started:
            await _answer(send, 413, _too_large(limit))


def _too_large(limit: int) -> str:
    size = f"{limit // MEGABYTE} MB" if limit >= MEGABYTE else f"{limit // 1000} kB"
    return f"At most {size} may be sent at once."


def _host_name(host: str) -> str:
    """The name without the port: "[::1]:7860" -> "::1"; empty for what is no name with a port."""
    found = _HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else ""


def _net_location(origin: str) -> str | None:
    """The host and port of an origin, None for what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _marked(send: App, scope: Scope) -> App:
    path = scope.get("path", "")
    ours = any(path == one or path.startswith(f"{one}/") for one in STRICT)
    told = HEADERS | ({"content-security-policy": _STRICT_POLICY} if ours else {})
    extra = [(name.encode(), value.encode()) for name, value in told.items()]
    lasting = [FOR_GOOD] if HASHED.fullmatch(path) else []

    async def marked(message: Any) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", []) if pair[0].decode("latin-1").lower() not in HEADERS]
            message = {**message, "headers": [*kept, *extra, *(lasting if message["status"] == 200 else [])]}
        await send(message)

    return marked


async def _answer(send: App, status: int, reason: str) -> None:
    body = reason.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
