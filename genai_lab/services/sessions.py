"""The lead's sessions: signed cookies, each of which ends by itself, at sign-out, or with all others.

A cookie names its last second, its own id and the generation of sessions that it belongs to. Which generation holds
and which sessions were ended stands in one file of the data home, which backups leave out: a restored lab begins a
generation of its own.
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

FILE = "sessions.json"
DAYS = 30
LIFETIME = DAYS * 86_400
CLOCK_SLACK = 86_400  # a cookie that would last longer than any, by more than this, was signed by another clock


@dataclass
class _State:
    generation: str = field(default_factory=lambda: secrets.token_hex(8))
    ended: dict[str, int] = field(default_factory=dict)  # the last second of sessions by id


def issue(lab: LabContext) -> str:
    """The cookie of a new session."""
    until, name = int(time.time()) + LIFETIME, secrets.token_hex(8)
    return f"{until}.{name}.{_signature(lab, until, name)}"


def is_valid(lab: LabContext, cookie: str) -> bool:
    """Whether the cookie was signed for the password of today, and its session has not ended."""
    until, name = _parts(lab, cookie)
    return 0 <= until - time.time() <= LIFETIME + CLOCK_SLACK and name not in _state(lab).ended


def end(lab: LabContext, cookie: str) -> None:
    """Ends the session of this cookie, copies of it included."""
    until, name = _parts(lab, cookie)
    if name:
        with lab.lock:
            state, now = _state(lab), time.time()
            state.ended = {other: last for other, last in state.ended.items() if last > now} | {name: until}
            _write(lab, state)


def end_all(lab: LabContext) -> None:
    """Ends every session."""
    with lab.lock:
        _write(lab, _State())


def browser(lab: LabContext) -> str:
    """A mark for a browser that has signed in: its tries are counted apart from those of everybody else."""
    name = secrets.token_hex(8)
    return f"{name}.{links.signed(lab, f'browser {name}')}"


def known_browser(lab: LabContext, mark: str) -> str:
    """The browser's name, "" for a mark that was not signed here."""
    name, _, signature = mark.partition(".")
    expected = links.signed(lab, f"browser {name}")
    return name if hmac.compare_digest(signature.encode(), expected.encode()) else ""


def _parts(lab: LabContext, cookie: str) -> tuple[int, str]:
    """(last second, id) of a cookie that this generation has signed; (0, "") of any other."""
    until, _, rest = cookie.partition(".")
    name, _, signature = rest.partition(".")
    if not (until.isascii() and until.isdecimal() and len(until) < 20):
        return 0, ""
    expected = _signature(lab, int(until), name)
    return (int(until), name) if hmac.compare_digest(signature.encode(), expected.encode()) else (0, "")


def _signature(lab: LabContext, until: int, name: str) -> str:
    return links.signed(lab, f"lead {until} {name} {_state(lab).generation} {lab.config.lead_password}")


def _state(lab: LabContext) -> _State:
    """Read once: one process at a time serves a home."""
    if lab.sessions is None:
        try:
            kept = json.loads((lab.config.home / FILE).read_text())
            ended = {str(name): int(last) for name, last in kept["ended"].items()}
            lab.sessions = _State(str(kept["generation"]), ended)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            lab.sessions = _State()  # none yet; what cannot be read ends all sessions
            with suppress(StorageError):  # without a file they end with the process
                _write(lab, lab.sessions)
    state: _State = lab.sessions
    return state


def _write(lab: LabContext, state: _State) -> None:
    path = lab.config.home / FILE
    try:
        files.write_json(path, {"generation": state.generation, "ended": state.ended})
    except OSError as problem:
        raise StorageError(f"The session cannot be kept in {path} ({problem.strerror or problem}).") from problem
    lab.sessions = state
