"""Limits on how much may be sent in one request."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from genai_lab.web.identity import Scope
from genai_lab.web.paths import is_below

App = Callable[..., Any]

MEGABYTE = 2**20


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware that answers 413 for a body over the limit, whether its length was declared or not.

    `by_path` maps path prefixes to bytes; `default` holds for every other path.
    """

    def __init__(self, app: App, default: int, by_path: Mapping[str, int]) -> None:
        self._app, self._default, self._by_path = app, default, dict(by_path)

    async def __call__(self, scope: Scope, receive: App, send: App) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((size for prefix, size in self._by_path.items() if is_below(scope["path"], [prefix])), None)
        limit = self._default if limit is None else limit
        declared = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > limit:
            await _too_large(limit)(scope, receive, send)
        else:
            await self._count(limit, scope, receive, send)

    async def _count(self, limit: int, scope: Scope, receive: App, send: App) -> None:
        """Passes the request on until more than `limit` bytes have come."""
        size, started = 0, False

        async def counting_receive() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _TooLarge
            return message

        async def noting_send(message: Any) -> None:
            nonlocal started
            if size <= limit or started:
                started = True
                await send(message)

        with suppress(_TooLarge, ClientDisconnect):  # after a disconnect nobody is there to read a refusal
            await self._app(scope, counting_receive, noting_send)
        if size > limit and not started:
            await _too_large(limit)(scope, receive, send)


def _too_large(limit: int) -> PlainTextResponse:
    size = f"{limit // MEGABYTE} MB" if limit >= MEGABYTE else f"{limit // 1000} kB"
    return PlainTextResponse(f"At most {size} may be sent at once.", 413)
