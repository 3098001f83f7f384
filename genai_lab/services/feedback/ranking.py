"""What an annotator's browser asks for: the next items, an answer kept, earlier answers to be changed.

Everything that writes runs in the one writer's transaction. What leaves names neither system, item nor candidate: a
card is a key and texts in the order shown.
"""

import hmac
import random
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import Answer, CampaignPlan, whole
from genai_lab.feedback.masking import masked, pattern
from genai_lab.services.feedback import links
from genai_lab.services.feedback.writer import Writer
from storage import answering as queries
from storage import feedback as records
from storage.answering import Found
from storage.feedback_tables import Assignment, Ranking

APART = 5
MOST_AT_ONCE = 10
COUNTED_FOR = 2.0  # seconds for which the number of items with room is believed
LOOKED_FOR = 1.0  # seconds between two looks for items whose holders have left
REMEMBERED = 20_000
LAST_REVISION = 1_000_000
Texts = tuple[str, dict[int, str]]


class Changed(LabError):
    """The answer was changed elsewhere meanwhile; `revision` is the newest."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        super().__init__("This answer was changed in another window; load it again before you change it.")


class NotYours(LabError):
    """The key names no item of this annotator."""


class LinkEnded(LabError):
    """The annotator's link was revoked, or its campaign is gone."""

    def __init__(self) -> None:
        super().__init__("This link is no longer valid; ask whoever sent it for a new one.")


@dataclass
class Desk:
    """What all answers share: the writer, counts that need not be made every time, and texts, which never change."""

    lab: LabContext
    writer: Writer
    counts: dict[int, tuple[float, int]] = field(default_factory=dict)
    looked: dict[int, float] = field(default_factory=dict)
    texts: OrderedDict[int, Texts] = field(default_factory=OrderedDict)
    titles: dict[tuple[int, str, int], str] = field(default_factory=dict)

    def close(self) -> None:
        self.writer.close()

    def read(self, session: Session, items: Sequence[int]) -> dict[int, Texts]:
        lacking = [item for item in items if item not in self.texts]
        if lacking:
            self.texts |= queries.texts(session, lacking)
        made = {item: self.texts[item] for item in items}
        while len(self.texts) > REMEMBERED:
            self.texts.popitem(last=False)
        return made


def desk(lab: LabContext) -> Desk:
    """The lab's one desk, opened when it is first needed."""
    return lab.service(Desk, lambda: Desk(lab, Writer(lab.database)))


def state(lab: LabContext, annotator_id: int) -> dict[str, Any]:
    """What the page shows around its cards."""
    with lab.database.reading() as session:
        who, _ = _known(session, annotator_id)
        plan = CampaignPlan(**who.plan)
        left = _left(desk(lab), session, who)
        title = _title(desk(lab), session, who)
    return {
        "campaign": {
            "title": title,
            "criterion": plan.question,
            "guidelines": plan.guidelines,
            "kind": plan.kind,
            "ties": plan.ties,
            "both_bad": plan.both_bad,
        },
        "annotator": {"name": who.name},
        "status": _status(who),
        "done": who.done + who.skipped,
        "left": left,
        "pace": {"seconds_per_item": who.seconds / who.done if who.done else None},
    }


def more(
    lab: LabContext, annotator_id: int, have: Sequence[str], want: int, cookie: str | None = None
) -> "Future[dict[str, Any]]":
    """The next cards beside those that the browser has; with `cookie`, only to whom it belongs."""
    place = desk(lab)

    def dealt(session: Session) -> dict[str, Any]:
        who, held = _known(session, annotator_id, None, lab, cookie)
        return _dealt(place, session, who, held, have, want, {})

    return place.writer.submit(dealt, (annotator_id, None))


def answer(
    lab: LabContext, annotator_id: int, sent: Mapping[str, Any], cookie: str | None = None
) -> "Future[dict[str, Any]]":
    """Keeps an answer and gives the next cards; the future is done after COMMIT.

    It raises LinkEnded, NotYours, Changed, or LabError for an answer that cannot be.
    """
    place = desk(lab)
    revision = sent.get("revision")
    key = named if isinstance(named := sent.get("key"), str) and whole(named) else None
    have = [one for one in keys(sent.get("have")) if one != key]
    want = sent.get("want")

    def kept(session: Session) -> dict[str, Any]:
        who, held = _known(session, annotator_id, key, lab, cookie)
        if isinstance(revision, bool) or not isinstance(revision, int) or not 0 <= revision <= LAST_REVISION or not key:
            raise LabError(f"An answer names its card by key and a revision from 0 to {LAST_REVISION:,}.")
        row = next((one for one in held if one.key == key), None)
        counted = _keep(session, who, row, revision, sent)
        rest = [one for one in held if one is not row]
        wanted = want if isinstance(want, int) else 0
        return {
            "saved": True,
            "key": key,
            "revision": revision,
            **_dealt(place, session, who, rest, have, wanted, counted),
        }

    return place.writer.submit(kept, (annotator_id, key))


def answers(lab: LabContext, annotator_id: int, count: int) -> list[dict[str, Any]]:
    """What the annotator has answered, newest first, ready to be shown and changed."""
    with lab.database.reading() as session:
        found = records.answered(session, annotator_id, max(1, min(count, 200)))
        texts = queries.texts(session, {row.item_id for row, _ in found})
    return [
        {**_card(row.key, row.shown, texts[row.item_id], row.revision), **_answered(row, one)} for row, one in found
    ]


def keys(value: Any) -> list[str]:
    """Those of a list of keys that are any."""
    return [one for one in value[:50] if isinstance(one, str)] if isinstance(value, list) else []


def _answered(row: Assignment, ranking: Ranking) -> dict[str, Any]:
    place = {candidate: n for n, candidate in enumerate(row.shown)}
    return {
        "groups": [[place[one] for one in group] for group in ranking.groups],
        "both_bad": ranking.both_bad,
        "flag": ranking.flag,
        "comment": ranking.comment,
        "skip": ranking.skip,
        "at": ranking.created_at.isoformat(timespec="seconds"),
    }


def _known(
    session: Session,
    annotator_id: int,
    key: str | None = None,
    lab: LabContext | None = None,
    cookie: str | None = None,
) -> tuple[Found, Sequence[Found]]:
    """Who asks, and what they hold; raises LinkEnded."""
    found, held = queries.known(session, annotator_id, key)
    if found is None or found.revoked_at is not None:
        raise LinkEnded
    if (
        lab is not None
        and cookie is not None
        and not hmac.compare_digest(cookie.encode(), links.signature(lab, found.id, found.secret).encode())
    ):
        raise LinkEnded
    return found, held


def _title(place: Desk, session: Session, who: Found) -> str:
    """The campaign's name without those of its systems, which would tell who is compared."""
    key = (who.campaign_id, who.campaign, who.items)
    if key not in place.titles:
        names = pattern(records.system_names(session, who.campaign_id))
        place.titles = {one: title for one, title in place.titles.items() if one[0] != who.campaign_id}
        place.titles[key] = masked(who.campaign, names) or who.campaign
    return place.titles[key]


def _status(who: Found) -> str:
    return "draft" if who.status == "making" else str(who.status)


def _card(key: str, shown: Sequence[int], texts: Texts, revision: int = 0) -> dict[str, Any]:
    prompt, text = texts
    return {"key": key, "prompt": prompt, "candidates": [{"text": text[one]} for one in shown], "revision": revision}


def _dealt(
    place: Desk,
    session: Session,
    who: Found,
    rows: Sequence[Found],
    have: Sequence[str],
    want: int,
    counted: dict[str, Any],
) -> dict[str, Any]:
    """At most `want` more cards: those of the held `rows` that the browser lacks, then new ones; nobody holds more than
    MOST_AT_ONCE. The annotator's counts are written.
    """
    cards: list[dict[str, Any]] = []
    noted = dict(counted)
    if who.status == "open" and want > 0:
        plan, now = CampaignPlan(**who.plan), records.now()
        until = now + timedelta(seconds=plan.lease)
        soon = until - timedelta(seconds=plan.lease / 10)
        if late := [row.id for row in rows if row.held_until is None or not soon <= row.held_until <= until]:
            queries.hold(session, late, until)
        lacking = [(row.key, row.shown, row.item_id) for row in rows if row.key not in have]
        wanted = min(want, MOST_AT_ONCE)
        if (lack := min(wanted - len(lacking), MOST_AT_ONCE - len(rows))) > 0:
            new, told = _new(place, session, who, plan, until, lack)
            lacking += new
            noted |= told
        texts = place.read(session, [item for _, _, item in lacking[:wanted]])
        cards = [_card(key, shown, texts[item]) for key, shown, item in lacking[:wanted]]
    if noted:
        queries.note(session, who.id, seen_at=records.now(), **noted)
    done = noted.get("done", who.done) + noted.get("skipped", who.skipped)
    nothing = want > 0 and not cards and not have
    return {
        "cards": cards,
        "done": done,
        "left": 0 if nothing else _left(place, session, who, done, noted.get("given", who.given)),
        "status": _status(who),
    }


def _new(
    place: Desk, session: Session, who: Found, plan: CampaignPlan, until: Any, count: int
) -> tuple[list[tuple[str, list[int], int]], dict[str, Any]]:
    """(key, shown, item) of new cards in the campaign's order, now and then an answered one with its sides swapped;
    and what is to be noted of the annotator."""
    if time.monotonic() - place.looked.get(who.campaign_id, 0.0) > LOOKED_FOR:
        place.looked[who.campaign_id] = time.monotonic()
        queries.expire(session, who.campaign_id, records.now(), plan.lease)
    found = queries.next_items(session, who, count)
    if not found and queries.expire(session, who.campaign_id, records.now(), plan.lease):
        found = queries.next_items(session, who, count)
    if not found:
        return [], {}
    earlier = queries.keys(session, [one.expired for one in found if one.expired is not None])
    texts = place.read(session, [one.id for one in found])
    made: list[tuple[str, list[int], int]] = []
    rows: list[dict[str, Any]] = []
    taken: list[Found] = []
    given = who.given
    common = {"campaign_id": who.campaign_id, "annotator_id": who.id, "status": "held", "held_until": until}
    for one in found:
        if plan.repeats and random.Random(f"{plan.seed} repeat {who.id} {given}").random() < plan.repeats:
            again = [row for row in queries.repeatable(session, who.id, APART) if row.item_id not in _items(made)]
            if again:
                shown = again[0].shown[::-1]
                made.append((uuid.uuid4().hex, shown, again[0].item_id))
                rows.append({**common, "key": made[-1][0], "item_id": again[0].item_id, "shown": shown, "repeat": True})
                given += 1
        if len(made) < count:
            taken.append(one)
            if one.expired is not None:
                made.append((earlier[one.expired].key, earlier[one.expired].shown, one.id))
            else:
                shown = list(texts[one.id][1])
                random.Random(f"{plan.seed} sides {one.id} {who.id}").shuffle(shown)
                made.append((uuid.uuid4().hex, shown, one.id))
                rows.append({**common, "key": made[-1][0], "item_id": one.id, "shown": shown, "repeat": False})
                given += 1
        if len(made) >= count:
            break
    now = records.now()
    blank = {"revision": -1, "created_at": now}
    queries.give(session, [{**row, **blank} for row in rows], [one.expired for one in taken if one.expired], until)
    queries.fill(session, [one.id for one in taken])
    return made, {"given": given, "cursor": max([who.cursor, *(one.place for one in taken)])}


def _items(made: Sequence[tuple[str, list[int], int]]) -> set[int]:
    return {item for _, _, item in made}


def _keep(session: Session, who: Found, row: Found | None, revision: int, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the answer down; what is to be noted of the annotator. It raises before it writes."""
    if row is None:
        raise NotYours("This card is not yours (any more); the next one is loaded.")
    plan = CampaignPlan(**who.plan)
    given = Answer.from_dict(sent, len(row.shown), plan.ties, plan.both_bad)
    fields = {
        "groups": [[row.shown[place] for place in group] for group in given.groups],
        "both_bad": given.both_bad,
        "flag": given.flag,
        "comment": given.comment,
        "skip": given.skip,
        "seconds": given.seconds,
    }
    if revision <= row.revision:
        earlier = queries.revision(session, row.id, revision)
        if earlier is not None and all(getattr(earlier, name) == value for name, value in fields.items()):
            return {}  # sent twice
        raise Changed(row.revision)
    if who.status == "closed" and row.revision >= 0:
        raise LabError("The campaign is closed, so answers can no longer be changed.")
    before = queries.revision(session, row.id, row.revision) if row.revision >= 0 else None
    status = _settled(session, row, given)
    queries.add_ranking(session, row, revision, status, created_at=records.now(), **fields)
    return _counted(who, before, given)


def _settled(session: Session, row: Found, given: Answer) -> str:
    """What becomes of the assignment, and of the item's room: an answer takes it, a skip gives it back."""
    had = row.status in ("held", "done")
    if given.skip:
        if had and not row.repeat:
            queries.give_room(session, row.item_id)
        return "skipped"
    if had or row.repeat or queries.take_room(session, row.item_id):
        return "done"
    return "surplus"


def _counted(who: Found, before: Found | None, given: Answer) -> dict[str, Any]:
    """The annotator's counts with this answer instead of the one before it."""
    done, skipped, seconds = who.done, who.skipped, who.seconds
    if before is not None:
        done, skipped = done - (before.skip is None), skipped - (before.skip is not None)
        seconds -= _pace(before.skip, before.seconds)
    return {
        "done": done + (given.skip is None),
        "skipped": skipped + (given.skip is not None),
        "seconds": seconds + _pace(given.skip, given.seconds),
    }


def _pace(skip: str | None, seconds: float) -> float:
    """An item that was open over lunch says nothing about pace, nor does a skipped one."""
    return 0.0 if skip is not None else min(seconds, 600.0)


def _left(place: Desk, session: Session, who: Found, mine: int | None = None, given: int | None = None) -> int:
    """How many items there still are for the annotator, those on their cards among them; at most a little too many."""
    kept = place.counts.get(who.campaign_id)
    if kept is None or time.monotonic() - kept[0] > COUNTED_FOR:
        kept = (time.monotonic(), queries.open_items(session, who.campaign_id))
        place.counts[who.campaign_id] = kept
    done = who.done + who.skipped if mine is None else mine
    holding = max(0, (who.given if given is None else given) - done)
    return max(0, min(who.items - done, kept[1] + holding))
