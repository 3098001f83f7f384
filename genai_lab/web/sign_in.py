"""Signing in and out with the owner's password."""

import hmac
import html
import math
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from genai_lab.context import LabContext
from genai_lab.errors import StorageError
from genai_lab.services import sessions
from genai_lab.web.auth import forbidden
from genai_lab.web.connections import client_network
from genai_lab.web.identity import BROWSER_COOKIE, SESSION_COOKIE
from genai_lab.web.messages import page
from genai_lab.web.paths import FORMER_SIGN_IN, SIGN_IN, SIGN_OUT
from genai_lab.web.rate_limits import Backoff, RateLimit

YEAR = 365 * 86_400
MAX_FORM_BYTES = 4096
MAX_ATTEMPTS, MAX_ATTEMPTS_IN_ALL, ATTEMPT_SECONDS = 10, 30, 60.0


class FailedAttempts:
    """Failed attempts at the password by address, by browser that has signed in before, and of all together."""

    def __init__(self) -> None:
        self._each, self._all = RateLimit(MAX_ATTEMPTS, ATTEMPT_SECONDS), Backoff(MAX_ATTEMPTS_IN_ALL, ATTEMPT_SECONDS)

    def seconds_left(self, address: str, browser: str) -> float:
        """Seconds until another attempt; strangers cannot lock out a browser that has signed in before."""
        if browser:
            return self._each.seconds_left(f"browser {browser}")
        return max(self._each.seconds_left(address), self._all.seconds_left())

    def count(self, address: str, browser: str) -> None:
        self._each.count(f"browser {browser}" if browser else address)
        if not browser:
            self._all.count()


class SignInRoutes:
    def __init__(self, lab: LabContext) -> None:
        self._lab, self._failed = lab, FailedAttempts()

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route(SIGN_IN, self.show_form, methods=["GET"])
        router.add_api_route(SIGN_IN, self.sign_in, methods=["POST"])
        router.add_api_route(SIGN_OUT, self.sign_out, methods=["POST"])
        router.add_api_route(f"{SIGN_OUT}/everywhere", self.sign_out_everywhere, methods=["POST"])
        router.add_api_route(FORMER_SIGN_IN, lambda: RedirectResponse(SIGN_IN, 303), methods=["GET"])
        return router

    def show_form(self, request: Request, next: str = "/") -> Response:
        if not self._lab.config.owner_password:
            return RedirectResponse("/", 303)
        return HTMLResponse(_sign_in_page(_local_path(next)) if request.user is None else _sign_out_page())

    async def sign_in(self, request: Request) -> Response:
        form = parse_qs((await request.body())[:MAX_FORM_BYTES].decode("utf-8", "replace"))
        target = _local_path(form.get("next", ["/"])[0])
        if not self._lab.config.owner_password:
            return RedirectResponse("/", 303)
        # Nothing is awaited from here on, so that no two attempts are judged by one count.
        address = client_network(request)
        browser = sessions.known_browser(self._lab, request.cookies.get(BROWSER_COOKIE, ""))
        if request.user is None and (seconds := self._failed.seconds_left(address, browser)):
            return HTMLResponse(_sign_in_page(target, f"Too many attempts; wait {math.ceil(seconds)} s."), 429)
        password = form.get("password", [""])[0]
        if not hmac.compare_digest(password.encode(), self._lab.config.owner_password.encode()):
            self._failed.count(address, browser)
            return HTMLResponse(_sign_in_page(target, "This is not the password of the lab's owner."), 403)
        response = RedirectResponse(target, 303)
        secure = request.url.scheme == "https"
        session = sessions.issue(self._lab, sessions.OWNER_ID)
        response.set_cookie(SESSION_COOKIE, session, sessions.LIFETIME, httponly=True, samesite="lax", secure=secure)
        browser_mark = sessions.issue_browser_mark(self._lab)
        response.set_cookie(
            BROWSER_COOKIE, browser_mark, YEAR, path=SIGN_IN, httponly=True, samesite="strict", secure=secure
        )
        return response

    def sign_out(self, request: Request) -> Response:
        """Ends this session and all copies of its cookie."""
        return _after_sign_out(lambda: sessions.end(self._lab, request.cookies.get(SESSION_COOKIE, "")))

    def sign_out_everywhere(self, request: Request) -> Response:
        return forbidden() if request.user is None else _after_sign_out(lambda: sessions.end_all(self._lab))


def _after_sign_out(end_session: Callable[[], None]) -> Response:
    try:
        end_session()
    except StorageError as problem:
        return HTMLResponse(_sign_in_page("/", str(problem)), 503)
    response = RedirectResponse(SIGN_IN, 303)
    response.delete_cookie(SESSION_COOKIE)
    return response


def _local_path(target: str) -> str:
    """A path of this lab; the first page in place of anything else."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    local = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if local else "/"


def _sign_in_page(target: str, problem: str = "") -> str:
    alert = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return page(
        f"""<p>Sign in as the owner of this lab. Annotators need no password: they open their personal link.</p>
<form method="post" action="{SIGN_IN}"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{html.escape(target, quote=True)}">{alert}
<button type="submit">Sign in</button></form>""",
        "genai_lab: sign in",
    )


def _sign_out_page() -> str:
    return page(
        f"""<p>You are signed in as the owner. <a href="/">Open the lab</a></p>
<form method="post" action="{SIGN_OUT}"><button type="submit">Sign out</button></form>
<form method="post" action="{SIGN_OUT}/everywhere"><button type="submit">Sign out everywhere</button></form>""",
        "genai_lab: sign out",
    )
