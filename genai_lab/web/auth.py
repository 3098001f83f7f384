"""Authentication: with an owner's password every route asks for it, except those that a link opens by itself."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import RedirectResponse

from genai_lab.context import LabContext
from genai_lab.services import sessions
from genai_lab.web.identity import SESSION_COOKIE, Identity, Role, Scope, holds_link_cookie, read_cookies
from genai_lab.web.paths import SIGN_IN, is_below


class AuthMiddleware:
    """ASGI middleware that puts the signed-in user's Identity into `scope["user"]`.

    Without one, a path that is not below `public` gets 403, or a redirect to the sign-in page in a browser that opens
    a page. The cookies of annotators and visitors open nothing here.
    """

    def __init__(self, app: Any, lab: LabContext, public: Sequence[str]) -> None:
        self._app, self._lab, self._public = app, lab, tuple(public)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        cookies = read_cookies(scope)
        scope["user"] = identify(self._lab, cookies.get(SESSION_COOKIE, ""))
        if scope["user"] is not None or is_below(scope["path"], self._public):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refusal(scope, cookies)(scope, receive, send)


def identify(lab: LabContext, session_cookie: str) -> Identity | None:
    """The user whose session this cookie is; in a lab without a password everybody is its owner."""
    if not lab.config.owner_password:
        return Identity(sessions.OWNER_ID, Role.OWNER)
    user_id = sessions.user_of(lab, session_cookie)
    return None if user_id is None else Identity(user_id, Role.OWNER)


def forbidden() -> Response:
    return Response("Only the owner of this lab may open this; sign in first.", 403, media_type="text/plain")


def _refusal(scope: Scope, cookies: dict[str, str]) -> Response:
    accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
    if scope["method"] == "GET" and "text/html" in accept and not holds_link_cookie(cookies):
        return RedirectResponse(f"{SIGN_IN}?next={quote(scope['path'])}", 303)
    return forbidden()
