"""Queries on campaigns, assignments and rankings; they take a session and never commit."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session, selectinload

from storage.feedback_tables import Annotator, Assignment, Campaign, Candidate, Item, Ranking
from storage.tables import Generation

ENDLESS = 1_000_000_000
BLOCK = 500


class CurrentAnswer(NamedTuple):
    """One current answer that counts. `groups` and `shown` hold candidate ids."""

    ranking: int
    item: int
    annotator: int
    repeat: bool
    shown: list[int]
    groups: list[list[int]]
    both_bad: bool
    flag: bool
    comment: str
    skip: str | None
    seconds: float
    status: str


def campaign(session: Session, which: int | str) -> Campaign | None:
    column = Campaign.id if isinstance(which, int) else Campaign.name
    return session.scalar(select(Campaign).where(column == which))


def campaigns(session: Session) -> list[Campaign]:
    """All of them, newest first."""
    return list(session.scalars(select(Campaign).order_by(Campaign.id.desc())))


def add_answers(session: Session, assignments: Sequence[dict[str, Any]], groups: Sequence[list[list[int]]]) -> None:
    """Assignments that are done already, each with the groups of candidate ids that answer it."""
    ids = session.scalars(insert(Assignment).returning(Assignment.id, sort_by_parameter_order=True), assignments)
    rankings = [
        {
            "assignment_id": assignment_id,
            "campaign_id": assignment["campaign_id"],
            "revision": 0,
            "groups": answer,
            "seconds": 0.0,
            "current": True,
            "created_at": assignment["created_at"],
        }
        for assignment_id, assignment, answer in zip(ids.all(), assignments, groups, strict=True)
    ]
    session.execute(insert(Ranking), rankings)


def add_annotator(session: Session, campaign_id: int, name: str, secret: str) -> Annotator:
    annotator = Annotator(campaign_id=campaign_id, name=name, secret=secret, assigned=0, done=0)
    session.add(annotator)
    session.flush()
    return annotator


def add_items(session: Session, campaign_id: int, rows: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The ids of the candidates of new items; each row is {"place", "prompt", "capacity", "candidates": [...]}."""
    ids: list[list[int]] = []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        heads = [
            {
                "campaign_id": campaign_id,
                "decided": False,
                **{name: row[name] for name in ("place", "prompt", "capacity")},
            }
            for row in block
        ]
        item_ids = list(session.scalars(insert(Item).returning(Item.id, sort_by_parameter_order=True), heads))
        flat = [
            {"item_id": item, "place": index, **candidate}
            for item, row in zip(item_ids, block, strict=True)
            for index, candidate in enumerate(row["candidates"])
        ]
        candidate_ids = iter(
            session.scalars(insert(Candidate).returning(Candidate.id, sort_by_parameter_order=True), flat)
        )
        ids += [[next(candidate_ids) for _ in row["candidates"]] for row in block]
    return ids


def item_ids(session: Session, campaign_id: int) -> list[int]:
    return list(session.scalars(select(Item.id).where(Item.campaign_id == campaign_id).order_by(Item.id)))


def items_with(session: Session, ids: Iterable[int]) -> dict[int, Item]:
    """Items with their candidates, by id."""
    statement = select(Item).where(Item.id.in_(list(ids))).options(selectinload(Item.candidates))
    return {item.id: item for item in session.scalars(statement)}


def tell_planner(session: Session) -> None:
    """PostgreSQL plans by what it last counted, which for a campaign just made is nothing: the next item would be
    looked for among all of them until its own count a minute later.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("ANALYZE items, candidates"))


def widen(session: Session, campaign_id: int, count: int) -> None:
    """Every item takes so many annotators more (or fewer, before there are answers)."""
    if count:
        statement = update(Item).where(Item.campaign_id == campaign_id, Item.capacity < ENDLESS // 2)
        session.execute(statement.values(capacity=Item.capacity + count))


def find_answered(session: Session, annotator_id: int, count: int) -> list[tuple[Assignment, Ranking]]:
    """What the annotator has answered, the newest first."""
    statement = (
        select(Assignment, Ranking)
        .join(Ranking, (Ranking.assignment_id == Assignment.id) & Ranking.current.is_(True))
        .where(Assignment.annotator_id == annotator_id)
        .order_by(Ranking.id.desc())
        .limit(count)
    )
    return [(row[0], row[1]) for row in session.execute(statement)]


def votes(session: Session, campaign_id: int, through: int | None = None) -> list[CurrentAnswer]:
    """Current answers in the order given; with `through`, those that were current when that ranking was the last."""
    statement = (
        select(
            Ranking.id,
            Assignment.item_id,
            Assignment.annotator_id,
            Assignment.repeat,
            Assignment.shown,
            Ranking.groups,
            Ranking.both_bad,
            Ranking.flag,
            Ranking.comment,
            Ranking.skip,
            Ranking.seconds,
            Assignment.status,
        )
        .join(Assignment, Assignment.id == Ranking.assignment_id)
        .where(Ranking.campaign_id == campaign_id)
        .order_by(Ranking.id)
    )
    if through is None:
        statement = statement.where(Ranking.current.is_(True))
    else:
        last = (
            select(func.max(Ranking.id))
            .where(Ranking.campaign_id == campaign_id, Ranking.id <= through)
            .group_by(Ranking.assignment_id)
        )
        statement = statement.where(Ranking.id.in_(last))
    return [CurrentAnswer(*row) for row in session.execute(statement)]


def last_ranking(session: Session, campaign_id: int) -> int:
    return session.scalar(select(func.max(Ranking.id)).where(Ranking.campaign_id == campaign_id)) or 0


def revisions(session: Session, campaign_id: int) -> list[tuple[Ranking, Assignment]]:
    """Every answer that was ever given, the changed ones too."""
    statement = select(Ranking, Assignment).join(Assignment, Assignment.id == Ranking.assignment_id)
    rows = session.execute(statement.where(Ranking.campaign_id == campaign_id).order_by(Ranking.id))
    return [(row[0], row[1]) for row in rows]


def annotators(session: Session, campaign_id: int) -> list[Annotator]:
    statement = select(Annotator).where(Annotator.campaign_id == campaign_id)
    return list(session.scalars(statement.order_by(Annotator.id)))


def annotator(session: Session, annotator_id: int) -> Annotator | None:
    return session.get(Annotator, annotator_id)


def annotator_by(session: Session, secret: str) -> Annotator | None:
    return session.scalar(select(Annotator).where(Annotator.secret == secret))


def annotator_named(session: Session, campaign_id: int, name: str) -> Annotator | None:
    return session.scalar(select(Annotator).where(Annotator.campaign_id == campaign_id, Annotator.name == name))


def systems(session: Session, campaign_id: int) -> dict[int, tuple[int, str, int]]:
    """candidate id -> (item id, system, length of its text in characters)."""
    statement = (
        select(Candidate.id, Candidate.item_id, Candidate.system, func.length(Candidate.text))
        .join(Item, Item.id == Candidate.item_id)
        .where(Item.campaign_id == campaign_id)
    )
    return {row[0]: (row[1], row[2], row[3]) for row in session.execute(statement)}


def system_names(session: Session, campaign_id: int) -> set[str]:
    statement = select(Candidate.system).join(Item, Item.id == Candidate.item_id).where(Item.campaign_id == campaign_id)
    return set(session.scalars(statement.distinct()))


def golds(session: Session, campaign_id: int) -> dict[int, list[list[int]]]:
    """item id -> the known order, of items that have one."""
    statement = select(Item.id, Item.gold).where(Item.campaign_id == campaign_id, Item.capacity >= ENDLESS // 2)
    return {row[0]: row[1] for row in session.execute(statement) if row[1]}


def page(session: Session, campaign_id: int, offset: int, limit: int) -> list[Item]:
    """Items in the order given out, with their candidates."""
    statement = select(Item).where(Item.campaign_id == campaign_id).order_by(Item.place).offset(offset).limit(limit)
    return list(session.scalars(statement.options(selectinload(Item.candidates))))


def counts_of_items(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """item id -> answers that count."""
    statement = (
        select(Assignment.item_id, func.count())
        .where(Assignment.item_id.in_(ids), Assignment.status == "done", Assignment.repeat.is_(False))
        .group_by(Assignment.item_id)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def totals(session: Session, campaign_id: int) -> dict[str, int]:
    """Assignments by status, repeats aside."""
    statement = (
        select(Assignment.status, func.count())
        .where(Assignment.campaign_id == campaign_id, Assignment.repeat.is_(False))
        .group_by(Assignment.status)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def remove(session: Session, campaign_id: int) -> None:
    """The campaign with everything in it."""
    mine = select(Item.id).where(Item.campaign_id == campaign_id)
    session.execute(delete(Ranking).where(Ranking.campaign_id == campaign_id))
    session.execute(delete(Assignment).where(Assignment.campaign_id == campaign_id))
    session.execute(delete(Annotator).where(Annotator.campaign_id == campaign_id))
    session.execute(delete(Candidate).where(Candidate.item_id.in_(mine)))
    session.execute(delete(Item).where(Item.campaign_id == campaign_id))
    session.execute(delete(Campaign).where(Campaign.id == campaign_id))


def now() -> datetime:
    return datetime.now(UTC)


def find_decided(session: Session, campaign_id: int) -> list[Item]:
    """Items where the lead has decided, with their candidates."""
    statement = select(Item).where(Item.campaign_id == campaign_id, Item.decided.is_(True))
    return list(session.scalars(statement.options(selectinload(Item.candidates))))


def runs_of_candidates(session: Session, campaign_id: int) -> list[int]:
    """The runs that generated its candidates."""
    statement = (
        select(Generation.run_id)
        .join(Candidate, Candidate.generation_id == Generation.id)
        .join(Item, Item.id == Candidate.item_id)
        .where(Item.campaign_id == campaign_id)
        .distinct()
        .order_by(Generation.run_id)
    )
    return list(session.scalars(statement))
