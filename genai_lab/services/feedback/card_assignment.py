"""New cards of an annotator: the next items in the campaign's order, at times an answered one with sides swapped."""

import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.feedback import CampaignPlan
from genai_lab.services.feedback.annotation_service import AnnotationService, Texts
from storage import answering as queries
from storage import feedback as records
from storage.answering import QueryRow

REPEAT_DISTANCE = 5  # items between a card and its repetition
EXPIRY_INTERVAL = 1.0  # seconds between two looks for items whose holders have left
Card = tuple[str, list[int], int]  # key, candidate ids in the order shown, item id


def assign_cards(
    service: AnnotationService,
    session: Session,
    annotator: QueryRow,
    plan: CampaignPlan,
    until: datetime,
    count: int,
) -> tuple[list[Card], dict[str, int]]:
    """At most `count` new cards, held until `until`, and what changes in the annotator's row."""
    next_items = _next_items(service, session, annotator, plan, count)
    if not next_items:
        return [], {}
    texts = service.read(session, [item.id for item in next_items])
    expired = queries.keys(session, [item.expired for item in next_items if item.expired is not None])
    new = _NewCards(session, annotator, plan, until)
    for item in next_items:
        if new.is_repeat_due():
            new.add_repeat()
        if len(new.cards) < count:
            new.add_item(item, texts[item.id], expired.get(item.expired))
        if len(new.cards) >= count:
            break
    new.write()
    last_place = max([annotator.last_place, *(item.place for item in new.items)])
    return new.cards, {"assigned": new.assigned_count, "last_place": last_place}


def _next_items(
    service: AnnotationService, session: Session, annotator: QueryRow, plan: CampaignPlan, count: int
) -> Sequence[QueryRow]:
    """Items that the annotator can have; those of holders who have left are looked for where there are no others."""
    if time.monotonic() - service.looked.get(annotator.campaign_id, 0.0) > EXPIRY_INTERVAL:
        service.looked[annotator.campaign_id] = time.monotonic()
        queries.expire(session, annotator.campaign_id, records.now(), plan.lease)
    next_items = queries.next_items(session, annotator, count)
    if not next_items and queries.expire(session, annotator.campaign_id, records.now(), plan.lease):
        next_items = queries.next_items(session, annotator, count)
    return next_items


@dataclass
class _NewCards:
    """Cards while they are put together: `rows` are the new assignments, `items` those taken from the queue."""

    session: Session
    annotator: QueryRow
    plan: CampaignPlan
    until: datetime
    cards: list[Card] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    items: list[QueryRow] = field(default_factory=list)

    @property
    def assigned_count(self) -> int:
        return int(self.annotator.assigned) + len(self.rows)

    def is_repeat_due(self) -> bool:
        """Decided by the campaign's seed and how much the annotator has had."""
        seed = f"{self.plan.seed} repeat {self.annotator.id} {self.assigned_count}"
        return bool(self.plan.repeats) and random.Random(seed).random() < self.plan.repeats

    def add_repeat(self) -> None:
        """Adds the oldest answered item that has not been repeated, where there is one, in the reverse order."""
        used = {item_id for _, _, item_id in self.cards}
        earlier = queries.repeatable(self.session, self.annotator.id, REPEAT_DISTANCE)
        if repeat := next((row for row in earlier if row.item_id not in used), None):
            self._add(repeat.item_id, repeat.shown[::-1], repeat=True)

    def add_item(self, item: QueryRow, texts: Texts, expired: QueryRow | None) -> None:
        """Adds an item of the queue; one that was the annotator's before comes back as the same card."""
        self.items.append(item)
        if expired is not None:
            self.cards.append((expired.key, expired.shown, item.id))
            return
        candidate_order = list(texts[1])
        random.Random(f"{self.plan.seed} sides {item.id} {self.annotator.id}").shuffle(candidate_order)
        self._add(item.id, candidate_order, repeat=False)

    def _add(self, item_id: int, candidate_order: list[int], repeat: bool) -> None:
        key = uuid.uuid4().hex
        self.cards.append((key, candidate_order, item_id))
        self.rows.append(
            {
                "campaign_id": self.annotator.campaign_id,
                "annotator_id": self.annotator.id,
                "status": "held",
                "held_until": self.until,
                "key": key,
                "item_id": item_id,
                "shown": candidate_order,
                "repeat": repeat,
                "revision": -1,
                "created_at": records.now(),
            }
        )

    def write(self) -> None:
        again = [item.expired for item in self.items if item.expired]
        queries.assign(self.session, self.rows, again, self.until)
        queries.take_capacities(self.session, [item.id for item in self.items])
