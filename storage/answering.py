"""The queries behind every answer of an annotator, as few and as plain as they can be: rows, not objects.

They run in the one writer's transaction, so that what was read stays true until it is written.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.orm import Session

from storage.feedback_tables import Annotator, Assignment, Campaign, Candidate, Item, Ranking

Found = Any  # a row, whose fields are named in the query

_WHO = select(
    Annotator.id,
    Annotator.name,
    Annotator.secret,
    Annotator.revoked_at,
    Annotator.cursor,
    Annotator.given,
    Annotator.done,
    Annotator.skipped,
    Annotator.seconds,
    Annotator.campaign_id,
    Campaign.name.label("campaign"),
    Campaign.status,
    Campaign.plan,
    Campaign.items,
).join(Campaign, Campaign.id == Annotator.campaign_id)


def who(session: Session, annotator_id: int) -> Found | None:
    """The annotator with what counts of the campaign."""
    return session.execute(_WHO.where(Annotator.id == annotator_id)).one_or_none()


def assignment(session: Session, key: str, annotator_id: int) -> Found | None:
    wanted = select(
        Assignment.id,
        Assignment.item_id,
        Assignment.campaign_id,
        Assignment.repeat,
        Assignment.shown,
        Assignment.status,
        Assignment.revision,
    )
    return session.execute(wanted.where(Assignment.key == key, Assignment.annotator_id == annotator_id)).one_or_none()


def revision(session: Session, assignment_id: int, number: int) -> Found | None:
    wanted = select(
        Ranking.groups, Ranking.both_bad, Ranking.flag, Ranking.comment, Ranking.skip, Ranking.seconds
    ).where(Ranking.assignment_id == assignment_id, Ranking.revision == number)
    return session.execute(wanted).one_or_none()


def add_ranking(session: Session, row: Found, number: int, status: str, **fields: Any) -> None:
    """The newest answer of an assignment; earlier ones stay as its history."""
    if row.revision >= 0:
        session.execute(
            update(Ranking).where(Ranking.assignment_id == row.id, Ranking.current.is_(True)).values(current=False)
        )
    made = {"assignment_id": row.id, "campaign_id": row.campaign_id, "revision": number, "current": True, **fields}
    session.execute(insert(Ranking), [made])
    session.execute(
        update(Assignment).where(Assignment.id == row.id).values(status=status, held_until=None, revision=number)
    )


def held(session: Session, annotator_id: int) -> list[Found]:
    """What the annotator has and has not answered, in the order given."""
    wanted = select(Assignment.id, Assignment.item_id, Assignment.key, Assignment.shown, Assignment.held_until)
    wanted = wanted.where(Assignment.annotator_id == annotator_id, Assignment.status == "held")
    return list(session.execute(wanted.order_by(Assignment.id)))


def hold(session: Session, ids: Sequence[int], until: datetime) -> None:
    session.execute(update(Assignment).where(Assignment.id.in_(ids)).values(held_until=until))


def next_items(session: Session, who: Found, count: int) -> Sequence[Found]:
    """(id, place, expired) of items with room that the annotator does not have; `expired` is the assignment that was
    theirs before, None for a new one.
    """
    mine = and_(Assignment.item_id == Item.id, Assignment.annotator_id == who.id, Assignment.repeat.is_(False))
    wanted = (
        select(Item.id, Item.place, Assignment.id.label("expired"))
        .join(Assignment, mine, isouter=True)
        .where(
            Item.campaign_id == who.campaign_id,
            Item.room > 0,
            or_(Assignment.id.is_(None), Assignment.status == "expired"),
        )
        .order_by(Item.place)
    )
    found = list(session.execute(wanted.where(Item.place > who.cursor).limit(count)))
    if len(found) < count:
        found += list(session.execute(wanted.where(Item.place <= who.cursor).limit(count - len(found))))
    return found


def give(session: Session, rows: Sequence[dict[str, Any]], again: Sequence[int], until: datetime) -> None:
    """The items are the annotator's from now on: new assignments, and expired ones that are theirs again."""
    if rows:
        session.execute(insert(Assignment), list(rows))
    if again:
        session.execute(update(Assignment).where(Assignment.id.in_(again)).values(status="held", held_until=until))


def keys(session: Session, ids: Sequence[int]) -> dict[int, Found]:
    """assignment id -> (id, key, shown)."""
    wanted = select(Assignment.id, Assignment.key, Assignment.shown).where(Assignment.id.in_(ids))
    return {row.id: row for row in session.execute(wanted)}


def fill(session: Session, items: Sequence[int]) -> None:
    """One more annotator has each of these."""
    if items:
        session.execute(update(Item).where(Item.id.in_(items)).values(room=Item.room - 1))


def take_room(session: Session, item_id: int) -> bool:
    """Whether there was room for one more annotator, who has it now."""
    changed = session.execute(update(Item).where(Item.id == item_id, Item.room > 0).values(room=Item.room - 1))
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def give_room(session: Session, item_id: int, count: int = 1) -> None:
    session.execute(update(Item).where(Item.id == item_id).values(room=Item.room + count))


def expire(session: Session, campaign_id: int, now: datetime) -> int:
    """Items whose holders have left get their room back; how many."""
    wanted = select(Assignment.id, Assignment.item_id, Assignment.repeat).where(
        Assignment.campaign_id == campaign_id, Assignment.status == "held", Assignment.held_until < now
    )
    late = list(session.execute(wanted))
    if late:
        ids = [one.id for one in late]
        session.execute(update(Assignment).where(Assignment.id.in_(ids)).values(status="expired"))
    for one in late:
        if not one.repeat:
            give_room(session, one.item_id)
    return len(late)


def repeatable(session: Session, annotator_id: int, apart: int) -> list[Found]:
    """(item_id, shown) of answered items that were not shown a second time, without the last `apart`."""
    again = select(Assignment.item_id).where(Assignment.annotator_id == annotator_id, Assignment.repeat.is_(True))
    wanted = select(Assignment.item_id, Assignment.shown).where(
        Assignment.annotator_id == annotator_id,
        Assignment.repeat.is_(False),
        Assignment.status == "done",
        Assignment.item_id.not_in(again),
    )
    return list(session.execute(wanted.order_by(Assignment.id.desc()).limit(apart + 20)))[apart:][::-1]


def note(session: Session, annotator_id: int, **fields: Any) -> None:
    session.execute(update(Annotator).where(Annotator.id == annotator_id).values(**fields))


def texts(session: Session, items: Iterable[int]) -> dict[int, tuple[str, dict[int, str]]]:
    """item id -> (prompt, candidate id -> what is shown of it)."""
    wanted = (
        select(Item.id, Item.prompt, Candidate.id.label("candidate"), func.coalesce(Candidate.shown, Candidate.text))
        .join(Candidate, Candidate.item_id == Item.id)
        .where(Item.id.in_(list(items)))
        .order_by(Item.id, Candidate.place)
    )
    made: dict[int, tuple[str, dict[int, str]]] = {}
    for item, prompt, candidate, text in session.execute(wanted):
        made.setdefault(item, (prompt, {}))[1][candidate] = text
    return made


def open_items(session: Session, campaign_id: int) -> int:
    """How many items have room."""
    wanted = select(func.count()).select_from(Item).where(Item.campaign_id == campaign_id, Item.room > 0)
    return session.scalar(wanted) or 0
