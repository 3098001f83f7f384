"""Who may come in: with a lead's password every route asks for it, but those that a link opens by itself."""

import hmac
import html
import time
from collections import deque
from http.cookies import CookieError, SimpleCookie
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import AfterValidator

from genai_lab.lab import Lab
from genai_lab.services.feedback import links
from pages.components.theme import ASSETS_ROUTE

LEAD = "genai_lab_lead"
LOGIN = "/lead"
OPEN = ("/rank", "/demo", LOGIN, ASSETS_ROUTE, "/health", "/favicon.ico")
DAYS = 30
TRIES, WITHIN = 10, 60.0
# A number in a path that no row can have is that of no row, so that it opens nothing, as any other that is unknown.
Number = Annotated[int, AfterValidator(lambda number: number if 0 <= number < 2**31 else 0)]


class Throttle:
    """At most `most` events within `seconds`, for each key."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._seen: dict[str, deque[float]] = {}

    def wait(self, key: str) -> float:
        """0 and the event is counted, or the seconds until another may come."""
        now = time.monotonic()
        if len(self._seen) > 10_000:
            self._seen = {name: times for name, times in self._seen.items() if now - times[-1] < self._seconds}
        times = self._seen.setdefault(key, deque())
        while times and now - times[0] >= self._seconds:
            times.popleft()
        if len(times) >= self._most:
            return self._seconds - (now - times[0])
        times.append(now)
        return 0.0


class Doors:
    """ASGI middleware. Where the lab has a lead's password, 403 for whoever has not given it (or the login page, for
    a browser that opens one of the pages). An annotator's or a visitor's cookie opens nothing here.
    """

    def __init__(self, app: Any, lab: Lab) -> None:
        self._app, self._lab = app, lab

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket") or self._opens(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refused(scope)(scope, receive, send)

    def _opens(self, scope: Any) -> bool:
        if not self._lab.config.lead_password:
            return True
        path = scope.get("path", "")
        if any(path == one or path.startswith(f"{one}/") for one in OPEN):
            return True
        return is_lead(self._lab, cookies(scope).get(LEAD, ""))


def cookies(scope: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name.lower() == b"cookie":
            try:
                found |= {key: one.value for key, one in SimpleCookie(value.decode("latin-1")).items()}
            except CookieError:
                continue
    return found


def _refused(scope: Any) -> Response:
    accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
    known = any(name.startswith(("rank_", "demo_")) for name in cookies(scope))
    if scope["method"] == "GET" and "text/html" in accept and not known:
        return RedirectResponse(f"{LOGIN}?next={quote(scope['path'])}", 303)
    return Response("This is for the lead of the lab; sign in first.", 403, media_type="text/plain")


def is_lead(lab: Lab, cookie: str) -> bool:
    """Whether the cookie was signed for the password of today, and is not too old."""
    until, _, mark = cookie.partition(".")
    if not (until.isascii() and until.isdecimal() and len(until) < 20) or int(until) < time.time():
        return False
    return hmac.compare_digest(mark.encode(), _mark(lab, until).encode())


def _mark(lab: Lab, until: str) -> str:
    return links.signed(lab, f"lead {until} {lab.config.lead_password}")


def routes(lab: Lab) -> APIRouter:
    """The lead's login and logout."""
    router, tries = APIRouter(), Throttle(TRIES, WITHIN)

    @router.get(LOGIN)
    def form(next: str = "/") -> Response:
        if not lab.config.lead_password:
            return RedirectResponse("/", 303)
        return HTMLResponse(_page(_local(next)))

    @router.post(LOGIN)
    async def login(request: Request) -> Response:
        sent = parse_qs((await request.body())[:4096].decode("utf-8", "replace"))
        target = _local(sent.get("next", ["/"])[0])
        if not lab.config.lead_password:
            return RedirectResponse("/", 303)
        if wait := tries.wait(request.client.host if request.client else ""):
            return HTMLResponse(_page(target, f"Too many tries; wait {wait:.0f} s."), 429)
        given = sent.get("password", [""])[0]
        if not hmac.compare_digest(given.encode(), lab.config.lead_password.encode()):
            return HTMLResponse(_page(target, "This is not the password of the lab's lead."), 403)
        until = str(int(time.time()) + DAYS * 86_400)
        answer = RedirectResponse(target, 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            LEAD, f"{until}.{_mark(lab, until)}", DAYS * 86_400, httponly=True, samesite="lax", secure=secure
        )
        return answer

    @router.post(f"{LOGIN}/out")
    def logout() -> Response:
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(LEAD)
        return answer

    return router


def refused(sentence: str, status: int, **more: Any) -> Response:
    """A sentence under "error"; what it quotes may hold half a character, which no answer can."""
    return JSONResponse({"error": sentence.encode("utf-8", "replace").decode(), **more}, status)


def _local(target: str) -> str:
    """A path of this lab; anything else is the first page."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    local = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if local else "/"


def _page(target: str, problem: str = "") -> str:
    told = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>genai_lab: sign in</title>
<link rel="icon" type="image/svg+xml" href="{ASSETS_ROUTE}/favicon.svg">
<link rel="stylesheet" href="{ASSETS_ROUTE}/door.css"></head><body><main>
<h1>genai_lab</h1><p>This lab is for its lead. Annotators need no password: they open their personal link.</p>
<form method="post" action="{LOGIN}"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{html.escape(target, quote=True)}">{told}
<button type="submit">Sign in</button></form></main></body></html>"""
