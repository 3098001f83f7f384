"""Who may come in: with a lead's password every route asks for it, but those that a link opens by itself."""

import hmac
import html
import math
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import AfterValidator

from genai_lab.context import LabContext
from genai_lab.errors import StorageError
from genai_lab.services import sessions
from pages.components.connections import network
from pages.components.theme import ASSETS_ROUTE
from pages.components.throttles import Backoff, Throttle

LEAD, BROWSER = "genai_lab_lead", "genai_lab_browser"
LOGIN = "/lead"
OPEN = ("/rank", "/demo", LOGIN, ASSETS_ROUTE, "/health", "/favicon.ico")
YEAR = 365 * 86_400
TRIES, TRIES_OF_ALL, WITHIN = 10, 30, 60.0
# A number in a path that no row can have is that of no row, so that it opens nothing, as any other that is unknown.
Number = Annotated[int, AfterValidator(lambda number: number if 0 <= number < 2**31 else 0)]


class Doors:
    """ASGI middleware. Where the lab has a lead's password, 403 for whoever has not given it (or the login page, for
    a browser that opens one of the pages). An annotator's or a visitor's cookie opens nothing here.
    """

    def __init__(self, app: Any, lab: LabContext) -> None:
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
        return sessions.is_valid(self._lab, cookies(scope).get(LEAD, ""))


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


class Login:
    """Failed tries at the password, by address, by browser that has signed in before, and of all together."""

    def __init__(self) -> None:
        self._each, self._all = Throttle(TRIES, WITHIN), Backoff(TRIES_OF_ALL, WITHIN)

    def left(self, address: str, browser: str) -> float:
        """Seconds until another try; what strangers do keeps no browser out that has signed in before."""
        return self._each.left(f"browser {browser}") if browser else max(self._each.left(address), self._all.left())

    def fail(self, address: str, browser: str) -> None:
        self._each.count(f"browser {browser}" if browser else address)
        if not browser:
            self._all.count()


def routes(lab: LabContext) -> APIRouter:
    """The lead's login and logout."""
    router, tries = APIRouter(), Login()

    def signed_in(request: Request) -> bool:
        return sessions.is_valid(lab, request.cookies.get(LEAD, ""))

    @router.get(LOGIN)
    def form(request: Request, next: str = "/") -> Response:
        if not lab.config.lead_password:
            return RedirectResponse("/", 303)
        return HTMLResponse(_sign_out_page() if signed_in(request) else _page(_local(next)))

    @router.post(LOGIN)
    async def login(request: Request) -> Response:
        sent = parse_qs((await request.body())[:4096].decode("utf-8", "replace"))
        target = _local(sent.get("next", ["/"])[0])
        if not lab.config.lead_password:
            return RedirectResponse("/", 303)
        # Nothing waits from here on, so that no two tries are judged by one count.
        address = network(request.client.host if request.client else "")
        browser = sessions.known_browser(lab, request.cookies.get(BROWSER, ""))
        if not signed_in(request) and (wait := tries.left(address, browser)):
            return HTMLResponse(_page(target, f"Too many tries; wait {math.ceil(wait)} s."), 429)
        given = sent.get("password", [""])[0]
        if not hmac.compare_digest(given.encode(), lab.config.lead_password.encode()):
            tries.fail(address, browser)
            return HTMLResponse(_page(target, "This is not the password of the lab's lead."), 403)
        answer = RedirectResponse(target, 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(LEAD, sessions.issue(lab), sessions.LIFETIME, httponly=True, samesite="lax", secure=secure)
        answer.set_cookie(
            BROWSER, sessions.browser(lab), YEAR, path=LOGIN, httponly=True, samesite="strict", secure=secure
        )
        return answer

    @router.post(f"{LOGIN}/out")
    def logout(request: Request) -> Response:
        """Ends this session, of which a copy may be anywhere."""
        return _left(lambda: sessions.end(lab, request.cookies.get(LEAD, "")))

    @router.post(f"{LOGIN}/out/everywhere")
    def logout_everywhere(request: Request) -> Response:
        if not signed_in(request):
            return _refused(request.scope)
        return _left(lambda: sessions.end_all(lab))

    return router


def _left(end: Callable[[], None]) -> Response:
    try:
        end()
    except StorageError as problem:
        return HTMLResponse(_page("/", str(problem)), 503)
    answer = RedirectResponse(LOGIN, 303)
    answer.delete_cookie(LEAD)
    return answer


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
    return _framed(
        f"""<p>This lab is for its lead. Annotators need no password: they open their personal link.</p>
<form method="post" action="{LOGIN}"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{html.escape(target, quote=True)}">{told}
<button type="submit">Sign in</button></form>"""
    )


def _sign_out_page() -> str:
    return _framed(
        f"""<p>You are signed in as the lead. <a href="/">Open the lab</a></p>
<form method="post" action="{LOGIN}/out"><button type="submit">Sign out</button></form>
<form method="post" action="{LOGIN}/out/everywhere"><button type="submit">Sign out everywhere</button></form>"""
    )


def _framed(body: str) -> str:
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>genai_lab: sign in</title>
<link rel="icon" type="image/svg+xml" href="{ASSETS_ROUTE}/favicon.svg">
<link rel="stylesheet" href="{ASSETS_ROUTE}/door.css"></head><body><main>
<h1>genai_lab</h1>{body}</main></body></html>"""
