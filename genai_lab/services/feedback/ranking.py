"""What an annotator's browser asks for: the next items, an answer kept, earlier answers to be changed.

Everything that writes runs in the one writer's transaction. What leaves names neither system, item nor candidate: a
card is a key and texts in the order shown.
"""

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.errors import LabError
from genai_lab.feedback import Answer, CampaignPlan
from genai_lab.lab import Lab
from genai_lab.services.feedback.writer import Writer
from storage import feedback as queries
from storage.feedback_tables import Annotator, Assignment, Campaign, Item, Ranking

APART = 5
MOST_AT_ONCE = 10
COUNTED_FOR = 2.0  # seconds for which the number of items with room is believed


class Changed(LabError):
    """The answer was changed elsewhere meanwhile; `revision` is the newest."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        super().__init__("This answer was changed in another window; load it again before you change it.")


class NotYours(LabError):
    """The key names no item of this annotator."""


class LinkEnded(LabError):
    """The annotator's link was revoked, or its campaign is gone."""


@dataclass
class Desk:
    """What the routes share: the writer, and counts that need not be made for every answer."""

    writer: Writer
    counts: dict[int, tuple[float, int]] = field(default_factory=dict)

    def close(self) -> None:
        self.writer.close()


def desk(lab: Lab) -> Desk:
    """The lab's one desk, opened when it is first needed."""
    with lab.lock:
        if lab.desk is None:
            lab.desk = Desk(Writer(lab.database))
        found: Desk = lab.desk
        return found


def state(lab: Lab, annotator_id: int) -> dict[str, Any]:
    """What the page shows around its cards."""
    with lab.database.reading() as session:
        annotator, campaign = _who(session, annotator_id)
        plan = CampaignPlan(**campaign.plan)
        left = _left(desk(lab), session, campaign, annotator)
    pace = annotator.seconds / annotator.done if annotator.done else None
    return {
        "campaign": {
            "title": campaign.name,
            "criterion": plan.question,
            "guidelines": plan.guidelines,
            "kind": plan.kind,
            "ties": plan.ties,
            "both_bad": plan.both_bad,
        },
        "annotator": {"name": annotator.name},
        "status": _status(campaign),
        "done": annotator.done + annotator.skipped,
        "left": left,
        "pace": {"seconds_per_item": pace},
    }


def more(lab: Lab, annotator_id: int, have: Sequence[str], want: int) -> "Future[dict[str, Any]]":
    """The next cards beside those that the browser has."""
    place = desk(lab)
    return place.writer.submit(lambda session: _dealt(place, session, annotator_id, have, want))


def answer(lab: Lab, annotator_id: int, sent: Mapping[str, Any]) -> "Future[dict[str, Any]]":
    """Keeps an answer and gives the next cards; the future is done after COMMIT.

    It raises LinkEnded, NotYours, Changed, or LabError for an answer that cannot be.
    """
    place = desk(lab)
    key, revision = sent.get("key"), sent.get("revision")
    if not isinstance(key, str) or isinstance(revision, bool) or not isinstance(revision, int) or revision < 0:
        raise LabError("An answer names its card by key and revision.")
    have = keys(sent.get("have"))
    want = sent.get("want")

    def kept(session: Session) -> dict[str, Any]:
        _keep(session, annotator_id, key, revision, sent)
        wanted = want if isinstance(want, int) else 0
        found = _dealt(place, session, annotator_id, [one for one in have if one != key], wanted)
        return {"saved": True, "key": key, "revision": revision, **found}

    return place.writer.submit(kept)


def answers(lab: Lab, annotator_id: int, count: int) -> list[dict[str, Any]]:
    """What the annotator has answered, newest first, ready to be shown and changed."""
    with lab.database.reading() as session:
        found = queries.answered(session, annotator_id, max(1, min(count, 200)))
        items = queries.items_with(session, {row.item_id for row, _ in found})
    return [{**_card(row, items[row.item_id]), **_answered(row, ranking)} for row, ranking in found]


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


def keys(value: Any) -> list[str]:
    """Those of a list of keys that are any."""
    return [one for one in value[:50] if isinstance(one, str)] if isinstance(value, list) else []


def _who(session: Session, annotator_id: int) -> tuple[Annotator, Campaign]:
    annotator = queries.annotator(session, annotator_id)
    campaign = queries.campaign(session, annotator.campaign_id) if annotator else None
    if annotator is None or campaign is None or annotator.revoked_at is not None:
        raise LinkEnded("This link is no longer valid; ask whoever sent it for a new one.")
    return annotator, campaign


def _status(campaign: Campaign) -> str:
    return "draft" if campaign.status == "making" else campaign.status


def _dealt(place: Desk, session: Session, annotator_id: int, have: Sequence[str], want: int) -> dict[str, Any]:
    """Cards held already that the browser lacks, then new ones, up to `want` beside those that it has."""
    annotator, campaign = _who(session, annotator_id)
    now = queries.now()
    annotator.seen_at = now
    cards: list[tuple[Assignment, Item]] = []
    if campaign.status == "open":
        plan = CampaignPlan(**campaign.plan)
        until = now + timedelta(seconds=plan.lease)
        rows = queries.held(session, annotator_id)
        for row in rows:
            row.held_until = until
        wanted = max(0, min(want, MOST_AT_ONCE))
        lacking = [row for row in rows if row.key not in have]
        if len(lacking) < wanted:
            queries.expire(session, campaign.id, now)
            lacking += _new(session, annotator, plan, until, wanted - len(lacking))
        cards = _with_items(session, lacking[:wanted])
    return {
        "cards": [{**_card(row, item), "revision": 0} for row, item in cards],
        "done": annotator.done + annotator.skipped,
        "left": _left(place, session, campaign, annotator, nothing=want > 0 and not cards and not have),
        "status": _status(campaign),
    }


def _with_items(session: Session, rows: Sequence[Assignment]) -> list[tuple[Assignment, Item]]:
    items = queries.items_with(session, {row.item_id for row in rows})
    return [(row, items[row.item_id]) for row in rows]


def _card(row: Assignment, item: Item) -> dict[str, Any]:
    texts = {one.id: one.shown if one.shown is not None else one.text for one in item.candidates}
    return {
        "key": row.key,
        "prompt": item.prompt,
        "candidates": [{"text": texts[one]} for one in row.shown],
        "revision": row.revision,
    }


def _new(session: Session, annotator: Annotator, plan: CampaignPlan, until: datetime, count: int) -> list[Assignment]:
    """New items in the campaign's order; now and then an answered one again, its sides swapped."""
    made: list[Assignment] = []
    if count <= 0:
        return made
    again = queries.repeatable(session, annotator.id, APART) if plan.repeats else []
    found = queries.next_items(session, annotator, count)
    items = queries.items_with(session, [one.id for one in found])
    for one in found:
        draw = random.Random(f"{plan.seed} repeat {annotator.id} {annotator.given}")
        if again and draw.random() < plan.repeats:
            first = again.pop(draw.randrange(len(again)))
            made.append(_given(session, annotator, first.item_id, first.shown[::-1], until, repeat=True))
            if len(made) == count:
                break
        if not queries.take_room(session, one.id):
            continue
        shown = [candidate.id for candidate in items[one.id].candidates]
        random.Random(f"{plan.seed} sides {one.id} {annotator.id}").shuffle(shown)
        made.append(_given(session, annotator, one.id, shown, until))
        annotator.cursor = max(annotator.cursor, one.place)
        if len(made) == count:
            break
    return made


def _given(
    session: Session, annotator: Annotator, item: int, shown: list[int], until: datetime, repeat: bool = False
) -> Assignment:
    annotator.given += 1
    return queries.assign(
        session, item, annotator, key=uuid.uuid4().hex, shown=shown, status="held", held_until=until, repeat=repeat
    )


def _keep(session: Session, annotator_id: int, key: str, revision: int, sent: Mapping[str, Any]) -> None:
    annotator, campaign = _who(session, annotator_id)
    row = queries.assignment(session, key, annotator_id)
    if row is None:
        raise NotYours("This card is not yours (any more); the next one is loaded.")
    plan = CampaignPlan(**campaign.plan)
    given = Answer.from_dict(sent, len(row.shown), plan.ties, plan.both_bad)
    groups = [[row.shown[place] for place in group] for group in given.groups]
    fields = {
        "groups": groups,
        "both_bad": given.both_bad,
        "flag": given.flag,
        "comment": given.comment,
        "skip": given.skip,
        "seconds": given.seconds,
    }
    if revision <= row.revision:
        earlier = queries.revision(session, row.id, revision)
        if earlier is not None and all(getattr(earlier, name) == value for name, value in fields.items()):
            return  # sent twice
        raise Changed(row.revision)
    if campaign.status == "closed" and row.revision >= 0:
        raise LabError("The campaign is closed, so answers can no longer be changed.")
    before = queries.current(session, row.id)
    queries.add_ranking(session, row, revision, created_at=queries.now(), **fields)
    _settle(session, annotator, row, given)
    _count(annotator, before, given)


def _settle(session: Session, annotator: Annotator, row: Assignment, given: Answer) -> None:
    """What the answer does to the item's room: an answer takes it, a skip gives it back."""
    before = row.status
    row.held_until = None
    if row.repeat:
        row.status = "skipped" if given.skip else "done"
    elif given.skip:
        if before in ("held", "done"):
            queries.give_room(session, row.item_id, 1)
        row.status = "skipped"
    elif before not in ("held", "done"):
        row.status = "done" if queries.take_room(session, row.item_id) else "surplus"
    else:
        row.status = "done"


def _count(annotator: Annotator, before: Ranking | None, given: Answer) -> None:
    if before is not None:
        annotator.skipped -= before.skip is not None
        annotator.done -= before.skip is None
        annotator.seconds -= 0.0 if before.skip is not None else min(before.seconds, 600.0)
    annotator.skipped += given.skip is not None
    annotator.done += given.skip is None
    # An item that was open over lunch says nothing about pace.
    annotator.seconds += 0.0 if given.skip is not None else min(given.seconds, 600.0)


def _left(place: Desk, session: Session, campaign: Campaign, annotator: Annotator, nothing: bool = False) -> int:
    """How many items there still are for the annotator, those on their cards among them; at most a little too many."""
    if nothing:
        return 0
    kept = place.counts.get(campaign.id)
    if kept is None or time.monotonic() - kept[0] > COUNTED_FOR:
        kept = (time.monotonic(), queries.open_items(session, campaign.id))
        place.counts[campaign.id] = kept
    mine = annotator.done + annotator.skipped
    holding = max(0, annotator.given - mine)
    return max(0, min(campaign.items - mine, kept[1] + holding))
