"""What an annotator's browser asks for: the next items, an answer kept, earlier answers to be changed.

Everything that writes runs in the one writer's transaction. What leaves names neither system, item nor candidate: a
card is a key and texts in the order shown.
"""

import hmac
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import Answer, CampaignPlan, is_encodable
from genai_lab.feedback.masking import mask_names, pattern
from genai_lab.services.feedback import links
from genai_lab.services.feedback.annotation_service import AnnotationService, Texts, annotation_service
from genai_lab.services.feedback.card_assignment import assign_cards
from storage import answering as queries
from storage import feedback as records
from storage.answering import QueryRow
from storage.feedback_tables import Assignment, Ranking

MOST_AT_ONCE = 10
COUNTED_FOR = 2.0  # seconds for which the number of items with capacity is believed
LAST_REVISION = 1_000_000


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


def state(lab: LabContext, annotator_id: int) -> dict[str, Any]:
    """What the page shows around its cards."""
    with lab.database.reading() as session:
        annotator, _ = _identify(session, annotator_id)
        plan = CampaignPlan(**annotator.plan)
        left = _left(annotation_service(lab), session, annotator)
        title = _title(annotation_service(lab), session, annotator)
    return {
        "campaign": {
            "title": title,
            "criterion": plan.question,
            "guidelines": plan.guidelines,
            "kind": plan.kind,
            "ties": plan.ties,
            "both_bad": plan.both_bad,
        },
        "annotator": {"name": annotator.name},
        "status": _status(annotator),
        "done": annotator.done + annotator.skipped,
        "left": left,
        "pace": {"seconds_per_item": annotator.seconds / annotator.done if annotator.done else None},
    }


def next_cards(
    lab: LabContext, annotator_id: int, shown_keys: Sequence[str], want: int, cookie: str | None = None
) -> "Future[dict[str, Any]]":
    """The next cards beside those that the browser has; with `cookie`, only to whom it belongs."""
    service = annotation_service(lab)

    def find_cards(session: Session) -> dict[str, Any]:
        annotator, assignments = _identify(session, annotator_id, None, lab, cookie)
        return _next_cards(service, session, annotator, assignments, shown_keys, want, {})

    return service.writer.submit(find_cards, (annotator_id, None))


def answer(
    lab: LabContext, annotator_id: int, sent: Mapping[str, Any], cookie: str | None = None
) -> "Future[dict[str, Any]]":
    """Keeps an answer and gives the next cards; the future is done after COMMIT.

    It raises LinkEnded, NotYours, Changed, or LabError for an answer that cannot be.
    """
    service = annotation_service(lab)
    revision = sent.get("revision")
    key = sent_key if isinstance(sent_key := sent.get("key"), str) and is_encodable(sent_key) else None
    have = [other for other in keys(sent.get("have")) if other != key]
    want = sent.get("want")

    def save_answer(session: Session) -> dict[str, Any]:
        annotator, assignments = _identify(session, annotator_id, key, lab, cookie)
        if isinstance(revision, bool) or not isinstance(revision, int) or not 0 <= revision <= LAST_REVISION or not key:
            raise LabError(f"An answer names its card by key and a revision from 0 to {LAST_REVISION:,}.")
        row = next((other for other in assignments if other.key == key), None)
        counted = _keep(session, annotator, row, revision, sent)
        others = [other for other in assignments if other is not row]
        count = want if isinstance(want, int) else 0
        return {
            "saved": True,
            "key": key,
            "revision": revision,
            **_next_cards(service, session, annotator, others, have, count, counted),
        }

    return service.writer.submit(save_answer, (annotator_id, key))


def answers(lab: LabContext, annotator_id: int, count: int) -> list[dict[str, Any]]:
    """What the annotator has answered, newest first, ready to be shown and changed."""
    with lab.database.reading() as session:
        answered = records.find_answered(session, annotator_id, max(1, min(count, 200)))
        texts = queries.texts(session, {row.item_id for row, _ in answered})
    return [
        {**_card(row.key, row.shown, texts[row.item_id], row.revision), **_answered(row, ranking)}
        for row, ranking in answered
    ]


def keys(value: Any) -> list[str]:
    """Keep only the strings of a list of keys."""
    return [item for item in value[:50] if isinstance(item, str)] if isinstance(value, list) else []


def _answered(row: Assignment, ranking: Ranking) -> dict[str, Any]:
    positions = {candidate: n for n, candidate in enumerate(row.shown)}
    return {
        "groups": [[positions[candidate_id] for candidate_id in group] for group in ranking.groups],
        "both_bad": ranking.both_bad,
        "flag": ranking.flag,
        "comment": ranking.comment,
        "skip": ranking.skip,
        "at": ranking.created_at.isoformat(timespec="seconds"),
    }


def _identify(
    session: Session,
    annotator_id: int,
    key: str | None = None,
    lab: LabContext | None = None,
    cookie: str | None = None,
) -> tuple[QueryRow, Sequence[QueryRow]]:
    """Who asks, and what they hold; raises LinkEnded."""
    annotator, assignments = queries.find_annotator(session, annotator_id, key)
    if annotator is None or annotator.revoked_at is not None:
        raise LinkEnded
    if (
        lab is not None
        and cookie is not None
        and not hmac.compare_digest(cookie.encode(), links.signature(lab, annotator.id, annotator.secret).encode())
    ):
        raise LinkEnded
    return annotator, assignments


def _title(service: AnnotationService, session: Session, annotator: QueryRow) -> str:
    """The campaign's name without those of its systems, which would tell who is compared."""
    key = (annotator.campaign_id, annotator.campaign, annotator.items)
    if key not in service.titles:
        names = pattern(records.system_names(session, annotator.campaign_id))
        service.titles = {
            cached_key: title for cached_key, title in service.titles.items() if cached_key[0] != annotator.campaign_id
        }
        service.titles[key] = mask_names(annotator.campaign, names) or annotator.campaign
    return service.titles[key]


def _status(annotator: QueryRow) -> str:
    return "draft" if annotator.status == "making" else str(annotator.status)


def _card(key: str, candidate_order: Sequence[int], texts: Texts, revision: int = 0) -> dict[str, Any]:
    prompt, text = texts
    return {
        "key": key,
        "prompt": prompt,
        "candidates": [{"text": text[candidate_id]} for candidate_id in candidate_order],
        "revision": revision,
    }


def _next_cards(
    service: AnnotationService,
    session: Session,
    annotator: QueryRow,
    rows: Sequence[QueryRow],
    shown_keys: Sequence[str],
    want: int,
    counted: dict[str, Any],
) -> dict[str, Any]:
    """At most `want` more cards: those of the held `rows` that the browser lacks, then new ones; nobody holds more than
    MOST_AT_ONCE. The annotator's counts are written.
    """
    cards: list[dict[str, Any]] = []
    updates = dict(counted)
    if annotator.status == "open" and want > 0:
        plan, now = CampaignPlan(**annotator.plan), records.now()
        until = now + timedelta(seconds=plan.lease)
        soon = until - timedelta(seconds=plan.lease / 10)
        if late := [row.id for row in rows if row.held_until is None or not soon <= row.held_until <= until]:
            queries.hold(session, late, until)
        missing_cards = [(row.key, row.shown, row.item_id) for row in rows if row.key not in shown_keys]
        card_limit = min(want, MOST_AT_ONCE)
        if (new_count := min(card_limit - len(missing_cards), MOST_AT_ONCE - len(rows))) > 0:
            new, counts = assign_cards(service, session, annotator, plan, until, new_count)
            missing_cards += new
            updates |= counts
        texts = service.read(session, [item for _, _, item in missing_cards[:card_limit]])
        cards = [_card(key, candidate_order, texts[item]) for key, candidate_order, item in missing_cards[:card_limit]]
    if updates:
        queries.update_annotator(session, annotator.id, seen_at=records.now(), **updates)
    finished = updates.get("done", annotator.done) + updates.get("skipped", annotator.skipped)
    assigned_count = updates.get("assigned", annotator.assigned)
    nothing = want > 0 and not cards and not shown_keys
    return {
        "cards": cards,
        "done": finished,
        "left": 0 if nothing else _left(service, session, annotator, finished, assigned_count),
        "status": _status(annotator),
    }


def _keep(
    session: Session, annotator: QueryRow, row: QueryRow | None, revision: int, sent: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes the answer down; what is to be noted of the annotator. It raises before it writes."""
    if row is None:
        raise NotYours("This card is not yours (any more); the next one is loaded.")
    plan = CampaignPlan(**annotator.plan)
    new_answer = Answer.from_dict(sent, len(row.shown), plan.ties, plan.both_bad)
    fields = {
        "groups": [[row.shown[position] for position in group] for group in new_answer.groups],
        "both_bad": new_answer.both_bad,
        "flag": new_answer.flag,
        "comment": new_answer.comment,
        "skip": new_answer.skip,
        "seconds": new_answer.seconds,
    }
    if revision <= row.revision:
        earlier = queries.revision(session, row.id, revision)
        if earlier is not None and all(getattr(earlier, name) == value for name, value in fields.items()):
            return {}  # sent twice
        raise Changed(row.revision)
    if annotator.status == "closed" and row.revision >= 0:
        raise LabError("The campaign is closed, so answers can no longer be changed.")
    before = queries.revision(session, row.id, row.revision) if row.revision >= 0 else None
    status = _settled(session, row, new_answer)
    queries.add_ranking(session, row, revision, status, created_at=records.now(), **fields)
    return _counted(annotator, before, new_answer)


def _settled(session: Session, row: QueryRow, new_answer: Answer) -> str:
    """What becomes of the assignment, and of the item's capacity: an answer takes it, a skip returns it."""
    counted_before = row.status in ("held", "done")
    if new_answer.skip:
        if counted_before and not row.repeat:
            queries.return_capacity(session, row.item_id)
        return "skipped"
    if counted_before or row.repeat or queries.take_capacity(session, row.item_id):
        return "done"
    return "surplus"


def _counted(annotator: QueryRow, before: QueryRow | None, new_answer: Answer) -> dict[str, Any]:
    """The annotator's counts with this answer instead of the one before it."""
    answered, skipped, seconds = annotator.done, annotator.skipped, annotator.seconds
    if before is not None:
        answered, skipped = answered - (before.skip is None), skipped - (before.skip is not None)
        seconds -= _pace(before.skip, before.seconds)
    return {
        "done": answered + (new_answer.skip is None),
        "skipped": skipped + (new_answer.skip is not None),
        "seconds": seconds + _pace(new_answer.skip, new_answer.seconds),
    }


def _pace(skip: str | None, seconds: float) -> float:
    """An item that was open over lunch says nothing about pace, nor does a skipped one."""
    return 0.0 if skip is not None else min(seconds, 600.0)


def _left(
    service: AnnotationService,
    session: Session,
    annotator: QueryRow,
    finished: int | None = None,
    assigned_count: int | None = None,
) -> int:
    """How many items there still are for the annotator, those on their cards among them; at most a little too many."""
    cached = service.counts.get(annotator.campaign_id)
    if cached is None or time.monotonic() - cached[0] > COUNTED_FOR:
        cached = (time.monotonic(), queries.open_items(session, annotator.campaign_id))
        service.counts[annotator.campaign_id] = cached
    finished_count = annotator.done + annotator.skipped if finished is None else finished
    holding = max(0, (annotator.assigned if assigned_count is None else assigned_count) - finished_count)
    return max(0, min(annotator.items - finished_count, cached[1] + holding))
