"""Sessions of users: signed cookies, each of which ends by itself, at sign-out, or together with all others.

A cookie holds the user's id, its last second, its own id and a signature for the current generation of sessions. The
generation and the ids of sessions that were ended stand in one file of the data home. Backups leave that file out, so
a restored lab begins a generation of its own.
"""

import hmac
import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field

from genai_lab import files
from genai_lab.context import LabContext
from genai_lab.errors import StorageError
from genai_lab.services.feedback import links
from storage.tables import OWNER_ID as OWNER_ID

FILE = "sessions.json"
DAYS = 30
LIFETIME = DAYS * 86_400
CLOCK_SLACK = 86_400  # a cookie that would last longer than any, by more than this, was signed by another clock


@dataclass
class _State:
    generation: str = field(default_factory=lambda: secrets.token_hex(8))
    ended: dict[str, int] = field(default_factory=dict)  # session id -> its last second


@dataclass(frozen=True)
class _Session:
    user_id: int
    last_second: int
    id: str


def issue(lab: LabContext, user_id: int) -> str:
    """The cookie of a new session of this user."""
    session = _Session(user_id, int(time.time()) + LIFETIME, secrets.token_hex(8))
    return f"{session.user_id}.{session.last_second}.{session.id}.{_signature(lab, session)}"


def user_of(lab: LabContext, cookie: str) -> int | None:
    """The id of the user whose session this cookie is; None where it has ended or was not signed here.

    A new password ends every session.
    """
    session = _parse(lab, cookie)
    if session is None or session.id in _state(lab).ended:
        return None
    return session.user_id if 0 <= session.last_second - time.time() <= LIFETIME + CLOCK_SLACK else None


def end(lab: LabContext, cookie: str) -> None:
    """Ends the session of this cookie and of its copies."""
    session = _parse(lab, cookie)
    if session is not None:
        with lab.lock:
            state, now = _state(lab), time.time()
            state.ended = {name: last for name, last in state.ended.items() if last > now}
            state.ended[session.id] = session.last_second
            _write(lab, state)


def end_all(lab: LabContext) -> None:
    """Ends every session."""
    with lab.lock:
        _write(lab, _State())


def issue_browser_mark(lab: LabContext) -> str:
    """A cookie for a browser that has signed in: its failed attempts are counted apart from everybody else's."""
    name = secrets.token_hex(8)
    return f"{name}.{links.sign(lab, f'browser {name}')}"


def known_browser(lab: LabContext, mark: str) -> str:
    """The browser's name, "" for a mark that was not signed here."""
    name, _, signature = mark.partition(".")
    expected = links.sign(lab, f"browser {name}")
    return name if hmac.compare_digest(signature.encode(), expected.encode()) else ""


def _parse(lab: LabContext, cookie: str) -> _Session | None:
    """The session that a cookie names; None where the current generation has not signed it."""
    user_id, last_second, session_id, signature = (*cookie.split(".", 3), "", "", "", "")[:4]
    if not all(text.isascii() and text.isdecimal() and len(text) < 20 for text in (user_id, last_second)):
        return None
    session = _Session(int(user_id), int(last_second), session_id)
    return session if hmac.compare_digest(signature.encode(), _signature(lab, session).encode()) else None


def _signature(lab: LabContext, session: _Session) -> str:
    content = f"session {session.user_id} {session.last_second} {session.id}"
    return links.sign(lab, f"{content} {_state(lab).generation} {lab.config.owner_password}")


def _state(lab: LabContext) -> _State:
    """Read once: one process at a time serves a home."""
    state = lab.find_service(_State)
    if state is None:
        try:
            stored = json.loads((lab.config.home / FILE).read_text())
            ended = {str(name): int(last) for name, last in stored["ended"].items()}
            state = _State(str(stored["generation"]), ended)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            state = _State()  # no file yet; an unreadable one ends all sessions
            with suppress(StorageError):  # without a file they end with the process
                _write(lab, state)
        lab.set_service(state)
    return state


def _write(lab: LabContext, state: _State) -> None:
    path = lab.config.home / FILE
    try:
        files.write_json(path, {"generation": state.generation, "ended": state.ended})
    except OSError as problem:
        raise StorageError(
            f"The session cannot be saved in {path} ({problem.strerror or problem}); check the disk."
        ) from problem
    lab.set_service(state)
