"""The queries behind every answer of an annotator, as few and as plain as they can be: rows, not objects.

They run in the one writer's transaction, so that what was read stays true until it is written. Statements are made once
and go to the connection itself: at hundreds of answers a second most of the time would go into making them. What an
answer writes of its own annotator alone is put off until that annotator is looked at again or `flush`, and `look_ahead`
reads all annotators of a transaction at once: its answers share these statements.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from storage.feedback_tables import Annotator, Assignment, Campaign, Candidate, Item, Ranking

QueryRow = Any  # a row, whose fields are named in the query


def _table(of: Any) -> Any:
    return of.__table__


ANNOTATORS, CAMPAIGNS, ITEMS = _table(Annotator), _table(Campaign), _table(Item)
CANDIDATES, ASSIGNMENTS, RANKINGS = _table(Candidate), _table(Assignment), _table(Ranking)
_PEOPLE, _CAMPAIGNS, _ITEMS = ANNOTATORS.c, CAMPAIGNS.c, ITEMS.c
_CANDIDATES, _GIVEN, _RANKINGS = CANDIDATES.c, ASSIGNMENTS.c, RANKINGS.c
CLOCK_SLACK = 60  # seconds by which clocks may differ
_NAMES = ("id", "name", "secret", "revoked_at", "last_place", "assigned", "done", "skipped", "seconds", "campaign_id")
_ID: Any = bindparam("one")
_IDS: Any = bindparam("ids", expanding=True)
_COUNT: Any = bindparam("many")

_WHO = (
    select(
        *(_PEOPLE[name] for name in _NAMES),
        _CAMPAIGNS.name.label("campaign"),
        *(_CAMPAIGNS[name] for name in ("status", "plan", "items")),
    )
    .join_from(ANNOTATORS, CAMPAIGNS, _CAMPAIGNS.id == _PEOPLE.campaign_id)
    .where(_PEOPLE.id.in_(_IDS))
)
_OWN = ("id", "annotator_id", "item_id", "campaign_id", "key", "repeat", "shown", "status", "revision", "held_until")
_MINE = (
    select(*(_GIVEN[name] for name in _OWN))
    .where(
        or_(
            and_(_GIVEN.annotator_id.in_(_IDS), _GIVEN.status == "held"),
            and_(_GIVEN.annotator_id.in_(_IDS), _GIVEN.key.in_(bindparam("keys", expanding=True))),
        )
    )
    .order_by(_GIVEN.id)
)
_REVISION = select(*(_RANKINGS[name] for name in ("groups", "both_bad", "flag", "comment", "skip", "seconds"))).where(
    _RANKINGS.assignment_id == _ID, _RANKINGS.revision == bindparam("number")
)
_OLD = update(RANKINGS).where(_RANKINGS.assignment_id == _ID, _RANKINGS.current.is_(True)).values(current=False)
_ANSWERED = (
    update(ASSIGNMENTS)
    .where(_GIVEN.id == _ID)
    .values(status=bindparam("now"), held_until=None, revision=bindparam("number"))
)
_WRITTEN = insert(RANKINGS)
_GIVEN_OUT = insert(ASSIGNMENTS)
_HAD = (_GIVEN.item_id == _ITEMS.id, _GIVEN.annotator_id == _ID, _GIVEN.repeat.is_(False))
_STATE, _GIVEN_BEFORE = (
    select(column).where(*_HAD).correlate(ITEMS).scalar_subquery() for column in (_GIVEN.status, _GIVEN.id)
)
# Looked up item by item, not joined: a planner that has not seen these tables full would join all of both.
_NEXT = (
    select(_ITEMS.id, _ITEMS.place, _GIVEN_BEFORE.label("expired"))
    .where(
        _ITEMS.campaign_id == bindparam("campaign"),
        _ITEMS.capacity + 0 > 0,  # not by the index of capacities, but in the order of places
        func.coalesce(_STATE, "expired") == "expired",
    )
    .order_by(_ITEMS.place)
    .limit(_COUNT)
)
_AFTER = _NEXT.where(_ITEMS.place > bindparam("last_place"))
_BEFORE = _NEXT.where(_ITEMS.place <= bindparam("last_place"))
_TAKE = update(ITEMS).where(_ITEMS.id == _ID, _ITEMS.capacity > 0).values(capacity=_ITEMS.capacity - 1)
_GIVE_BACK = update(ITEMS).where(_ITEMS.id == _ID).values(capacity=_ITEMS.capacity + 1)
_LATE = select(_GIVEN.id, _GIVEN.item_id, _GIVEN.repeat).where(
    _GIVEN.campaign_id == _ID,
    _GIVEN.status == "held",
    or_(_GIVEN.held_until < bindparam("moment"), _GIVEN.held_until > bindparam("latest")),
)
_TEXTS = (
    select(_ITEMS.id, _ITEMS.prompt, _CANDIDATES.id, func.coalesce(_CANDIDATES.shown, _CANDIDATES.text))
    .join_from(ITEMS, CANDIDATES, _CANDIDATES.item_id == _ITEMS.id)
    .where(_ITEMS.id.in_(bindparam("ids", expanding=True)))
    .order_by(_ITEMS.id, _CANDIDATES.place)
)
_OPEN = select(func.count()).select_from(ITEMS).where(_ITEMS.campaign_id == _ID, _ITEMS.capacity > 0)
_NOTES: dict[tuple[str, ...], Any] = {}


def flush(session: Session) -> None:
    """Writes what was put off; before COMMIT, and before anything reads what others have written."""
    for statement, rows in session.info.pop("later", {}).items():
        session.connection().execute(statement, rows)


def _later(session: Session, statement: Any, row: dict[str, Any]) -> None:
    session.info.setdefault("later", {}).setdefault(statement, []).append(row)


def look_ahead(session: Session, keys_by_annotator: Mapping[int, str | None]) -> None:
    """Reads what `known` will be asked for: annotator id -> the key that they answer."""
    connection, ids = session.connection(), list(keys_by_annotator)
    people = {row.id: row for row in connection.execute(_WHO, {"ids": ids})}
    assignments: dict[int, list[QueryRow]] = {annotator_id: [] for annotator_id in ids}
    for row in connection.execute(
        _MINE, {"ids": ids, "keys": [key for key in keys_by_annotator.values() if key is not None]}
    ):
        if row.status == "held" or row.key == keys_by_annotator[row.annotator_id]:
            assignments[row.annotator_id].append(row)
    ahead = session.info.setdefault("ahead", {})
    ahead.update(
        {
            annotator_id: (key, people.get(annotator_id), assignments[annotator_id])
            for annotator_id, key in keys_by_annotator.items()
        }
    )


def find_annotator(
    session: Session, annotator_id: int, key: str | None = None
) -> tuple[QueryRow | None, Sequence[QueryRow]]:
    """The annotator with what counts of the campaign, None where there is none; what they have and have not answered,
    in the order given, and, if it is theirs, what has that key.
    """
    ahead = session.info.get("ahead", {}).pop(annotator_id, None)
    if ahead is None or ahead[0] != key:
        flush(session)
        look_ahead(session, {annotator_id: key})
        ahead = session.info["ahead"].pop(annotator_id)
    return ahead[1:]


def revision(session: Session, assignment_id: int, number: int) -> QueryRow | None:
    return session.connection().execute(_REVISION, {"one": assignment_id, "number": number}).one_or_none()


def add_ranking(session: Session, row: QueryRow, number: int, status: str, **fields: Any) -> None:
    """The newest answer of an assignment; earlier ones stay as its history."""
    if row.revision >= 0:
        session.connection().execute(_OLD, {"one": row.id})
    values = {"assignment_id": row.id, "campaign_id": row.campaign_id, "revision": number, "current": True, **fields}
    _later(session, _WRITTEN, values)
    _later(session, _ANSWERED, {"one": row.id, "now": status, "number": number})


def hold(session: Session, ids: Sequence[int], until: datetime) -> None:
    session.connection().execute(update(ASSIGNMENTS).where(_GIVEN.id.in_(ids)).values(held_until=until))


def next_items(session: Session, who: QueryRow, count: int) -> list[QueryRow]:
    """(id, place, expired) of items with capacity that the annotator does not have.

    `expired` is the assignment that was theirs before, None for a new one.
    """
    connection = session.connection()
    parameters = {"one": who.id, "campaign": who.campaign_id, "last_place": who.last_place}
    items = list(connection.execute(_AFTER, {**parameters, "many": count}))
    if len(items) < count:
        items += list(connection.execute(_BEFORE, {**parameters, "many": count - len(items)}))
    return items


def assign(session: Session, rows: Sequence[dict[str, Any]], again: Sequence[int], until: datetime) -> None:
    """The items are the annotator's from now on: new assignments, and expired ones that are theirs again."""
    for row in rows:
        _later(session, _GIVEN_OUT, row)
    if again:
        statement = update(ASSIGNMENTS).where(_GIVEN.id.in_(again))
        session.connection().execute(statement.values(status="held", held_until=until))


def keys(session: Session, ids: Sequence[int]) -> dict[int, QueryRow]:
    """assignment id -> (id, key, shown)."""
    if not ids:
        return {}
    statement = select(_GIVEN.id, _GIVEN.key, _GIVEN.shown).where(_GIVEN.id.in_(ids))
    return {row.id: row for row in session.connection().execute(statement)}


def take_capacities(session: Session, items: Sequence[int]) -> None:
    """One more annotator has each of these."""
    if items:
        session.connection().execute(_TAKE, [{"one": item} for item in items])


def take_capacity(session: Session, item_id: int) -> bool:
    """Whether the item could take one more annotator, and has taken them now."""
    return bool(session.connection().execute(_TAKE, {"one": item_id}).rowcount)


def return_capacity(session: Session, item_id: int) -> None:
    session.connection().execute(_GIVE_BACK, {"one": item_id})


def expire(session: Session, campaign_id: int, now: datetime, lease: int) -> int:
    """Returns how many items got capacity back from holders who have left.

    What is held for longer than a lease can last was held before the clock was set back.
    """
    flush(session)
    session.info.pop("ahead", None)
    latest = now + timedelta(seconds=lease + CLOCK_SLACK)
    late = session.connection().execute(_LATE, {"one": campaign_id, "moment": now, "latest": latest}).all()
    if late:
        statement = update(ASSIGNMENTS).where(_GIVEN.id.in_([assignment.id for assignment in late]))
        session.connection().execute(statement.values(status="expired"))
    for assignment in late:
        if not assignment.repeat:
            return_capacity(session, assignment.item_id)
    return len(late)


def repeatable(session: Session, annotator_id: int, distance: int) -> list[QueryRow]:
    """(item_id, shown) of answered items that were not shown a second time, without the last `apart`."""
    again = select(_GIVEN.item_id).where(_GIVEN.annotator_id == annotator_id, _GIVEN.repeat.is_(True))
    statement = select(_GIVEN.item_id, _GIVEN.shown).where(
        _GIVEN.annotator_id == annotator_id,
        _GIVEN.repeat.is_(False),
        _GIVEN.status == "done",
        _GIVEN.item_id.not_in(again),
    )
    rows = session.connection().execute(statement.order_by(_GIVEN.id.desc()).limit(distance + 20))
    return list(rows)[distance:][::-1]


def update_annotator(session: Session, annotator_id: int, **fields: Any) -> None:
    """Sets some of the annotator's fields."""
    names = tuple(sorted(fields))
    if names not in _NOTES:
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        _NOTES[names] = update(ANNOTATORS).where(_PEOPLE.id == _ID).values(values)
    values = {f"new_{name}": value for name, value in fields.items()}
    _later(session, _NOTES[names], {"one": annotator_id, **values})


def texts(session: Session, items: Iterable[int]) -> dict[int, tuple[str, dict[int, str]]]:
    """item id -> (prompt, candidate id -> what is shown of it)."""
    result: dict[int, tuple[str, dict[int, str]]] = {}
    for item, prompt, candidate, text in session.connection().execute(_TEXTS, {"ids": list(items)}):
        result.setdefault(item, (prompt, {}))[1][candidate] = text
    return result


def open_items(session: Session, campaign_id: int) -> int:
    """How many items can take more annotators."""
    return session.connection().execute(_OPEN, {"one": campaign_id}).scalar() or 0
