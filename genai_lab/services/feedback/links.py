"""Who may answer: annotators by name, each with a personal link that a signed cookie takes the place of."""

import functools
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from genai_lab.context import LabContext
from genai_lab.errors import BadSetting, LabError
from genai_lab.services import feedback
from genai_lab.views import View
from storage import feedback as queries
from storage.feedback_tables import Annotator

SECRET_FILE = "secret"
ADDRESS = "/rank"


@dataclass(frozen=True)
class Link(View):
    annotator: int
    name: str
    path: str
    revoked: bool


def invite(lab: LabContext, campaign: int | str, name: str, *, visitor: bool = False) -> Link:
    """A personal link for an annotator; the one there is where the name has been invited before."""
    name = name.strip()
    if not 1 <= len(name) <= 80:
        raise BadSetting("name", name[:60], "1 to 80 characters")
    view = feedback.show(lab, campaign)
    try:
        with lab.database.session() as session:
            row = queries.annotator_named(session, view.id, name)
            if row is None:
                row = Annotator(
                    campaign_id=view.id,
                    name=name,
                    secret=secrets.token_urlsafe(24),
                    visitor=visitor,
                    assigned=0,
                    done=0,
                )
                session.add(row)
                session.flush()
            return _link(lab, row)
    except IntegrityError:
        return invite(lab, campaign, name)  # two leads at once


def find_links(lab: LabContext, campaign: int | str) -> list[Link]:
    """Everybody who was invited; visitors of a demo come by themselves and have no link."""
    view = feedback.show(lab, campaign)
    with lab.database.reading() as session:
        return [_link(lab, row) for row in queries.annotators(session, view.id) if not row.visitor]


def renew(lab: LabContext, annotator_id: int, revoke: bool = False) -> Link:
    """A new link, after which the old one and its cookies open nothing; with `revoke` no link opens anything."""
    with lab.database.session() as session:
        row = queries.annotator(session, annotator_id)
        if row is None:
            raise LabError(f"There is no annotator {annotator_id}.")
        row.secret = secrets.token_urlsafe(24)
        row.revoked_at = queries.now() if revoke else None
        return _link(lab, row)


def find_by_secret(lab: LabContext, secret: str) -> tuple[int, str] | None:
    """(annotator id, cookie) for a link's secret, None where it opens nothing."""
    with lab.database.reading() as session:
        number = number_of(secret)
        row = (
            queries.annotator_by(session, hash_secret(secret)) if number is None else queries.annotator(session, number)
        )
        if row is None or row.revoked_at is not None or not (number is None or fits(_token(lab, row), secret)):
            return None
        return row.id, signature(lab, row.id, row.secret)


def is_allowed(lab: LabContext, annotator_id: int, cookie: str) -> bool:
    """Whether a cookie is this annotator's."""
    with lab.database.reading() as session:
        row = queries.annotator(session, annotator_id)
    if row is None or row.revoked_at is not None:
        return False
    return hmac.compare_digest(cookie.encode(), signature(lab, row.id, row.secret).encode())


def token(lab: LabContext, what: str, number: int, seed: str) -> str:
    """What the link of an annotator or a demo ends with: made of the row's seed and the home's own key, so that it can
    be shown again and the database alone opens nothing.
    """
    return f"{number}.{sign(lab, f'{what} link {number} {seed}')[:40]}"


def number_of(secret: str) -> int | None:
    """The row that a link's secret names; None for one of the older links, which hold no number."""
    number, dot, _ = secret.partition(".")
    if not dot:
        return None
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0


def hash_secret(secret: str) -> str:
    """What is kept of an older link's secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def fits(expected: str, secret: str) -> bool:
    return hmac.compare_digest(expected.encode(), secret.encode("utf-8", "replace"))


def signature(lab: LabContext, annotator_id: int, secret: str) -> str:
    return sign(lab, f"annotator {annotator_id} {secret}")


def sign(lab: LabContext, text: str) -> str:
    """A keyed hash (HMAC-SHA-256) of a text, with the secret that lies in the data home."""
    return hmac.new(_secret(lab.config.home), text.encode(), hashlib.sha256).hexdigest()


@functools.cache
def _secret(home: Path) -> bytes:
    """The home's own key, made when it is first needed; only its owner can read it."""
    path = home / SECRET_FILE
    if not path.is_file():
        draft = home / f".{SECRET_FILE}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(32))
        try:
            os.link(draft, path)  # whoever comes first makes it
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def _token(lab: LabContext, row: Annotator) -> str:
    return token(lab, "annotator", row.id, row.secret)


def _link(lab: LabContext, row: Annotator) -> Link:
    return Link(row.id, row.name, f"{ADDRESS}/with/{_token(lab, row)}", row.revoked_at is not None)
