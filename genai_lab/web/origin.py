"""Refuses host names that are not this lab's, and requests that pages of other sites make."""

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

from genai_lab.web.identity import Scope

App = Callable[..., Any]

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII)
WRONG_HOST = "This host name is not served here; start the app with --allow-host NAME."
WRONG_ORIGIN = "A page of another site may not use this lab."


class OriginGuard:
    """ASGI middleware. The Host check stops DNS rebinding, the Origin check requests of other sites' pages, whatever
    the method.
    """

    def __init__(self, app: App, hosts: Iterable[str]) -> None:
        self._app, self._hosts = app, {host.strip("[]").lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: App, send: App) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # What a trusted proxy said of address and scheme is in the scope by now; Gradio would build its addresses from
        # the remaining X-Forwarded headers, which anybody may send.
        scope["headers"] = [pair for pair in scope["headers"] if not pair[0].lower().startswith(b"x-forwarded")]
        status, sentence = self._check(scope)
        if not status:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(sentence, status)(scope, receive, send)

    def _check(self, scope: Scope) -> tuple[int, str]:
        """(status, sentence) of a refusal, (0, "") for what may pass."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if _host_name(host) not in self._hosts:
            return 421, WRONG_HOST
        origin = headers.get("origin")
        if origin is not None and _net_location(origin) != host:
            return 403, WRONG_ORIGIN
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and (headers.get("sec-fetch-mode") != "navigate" or scope.get("method") != "GET"):
            return 403, WRONG_ORIGIN
        return 0, ""


def _host_name(host: str) -> str:
    """The name without the port: "[::1]:7860" -> "::1"; empty for a text that is no host name."""
    match = _HOST.fullmatch(host)
    return match["name"].strip("[]").lower() if match else ""


def _net_location(origin: str) -> str | None:
    """The host and port of an origin, None for a text that is no origin."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
