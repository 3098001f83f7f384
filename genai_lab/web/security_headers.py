"""Headers that tell the browser what to refuse, on every answer."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from genai_lab.web.identity import Scope
from genai_lab.web.paths import is_below

App = Callable[..., Any]

# Gradio's page needs inline scripts and templates compiled in the browser; nothing may come from another host.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
# Pages of our own: nothing inline, no code from text.
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
_HASHED_NAME = re.compile(r"/assets/.+-[\w-]{8,}\.\w+")
_IMMUTABLE = (b"cache-control", b"public, max-age=31536000, immutable")


class SecurityHeaders:
    """ASGI middleware; pages below `strict` paths get the stricter content security policy."""

    def __init__(self, app: App, strict: Sequence[str]) -> None:
        self._app, self._strict = app, tuple(strict)

    async def __call__(self, scope: Scope, receive: App, send: App) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        headers = HEADERS | ({"content-security-policy": _STRICT_POLICY} if is_below(path, self._strict) else {})
        names = {name.encode() for name in headers}
        security = [(name.encode(), value.encode()) for name, value in headers.items()]
        caching = [_IMMUTABLE] if _HASHED_NAME.fullmatch(path) else []

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                others = [pair for pair in message.get("headers", []) if pair[0].lower() not in names]
                cached = caching if message["status"] == 200 else []
                message = {**message, "headers": [*others, *security, *cached]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
