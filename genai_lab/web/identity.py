"""Who sends a request: the roles of this lab and the cookies that each of them carries."""

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from typing import Any

Scope = MutableMapping[str, Any]

SESSION_COOKIE = "genai_lab_session"  # of a user who has signed in
BROWSER_COOKIE = "genai_lab_browser"  # of a browser in which somebody has signed in before


class Role(StrEnum):
    """What somebody may do: everything, answer a campaign, or try a demo."""

    OWNER = "owner"
    ANNOTATOR = "annotator"
    VISITOR = "visitor"


_LINK_COOKIES = {Role.ANNOTATOR: "rank_", Role.VISITOR: "demo_"}


@dataclass(frozen=True)
class Identity:
    """A signed-in user. Annotators and visitors have none: their cookies open their own pages alone."""

    user_id: int
    role: Role


def link_cookie(role: Role, row_id: int) -> str:
    """The name of the cookie for a personal link (of this annotator) or a demo's link (of this demo)."""
    return f"{_LINK_COOKIES[role]}{row_id}"


def consent_cookie(demo_id: int) -> str:
    return f"consent_{demo_id}"


def holds_link_cookie(names: Iterable[str]) -> bool:
    """Whether one of these cookies came from a personal link or a demo's link."""
    return any(name.startswith(tuple(_LINK_COOKIES.values())) for name in names)


def read_cookies(scope: Scope) -> dict[str, str]:
    """The cookies of an ASGI scope; headers that cannot be parsed count as absent."""
    cookies: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name.lower() == b"cookie":
            try:
                cookies |= {key: morsel.value for key, morsel in SimpleCookie(value.decode("latin-1")).items()}
            except CookieError:
                continue
    return cookies
