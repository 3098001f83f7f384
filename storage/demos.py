"""Queries on demos, their visitors and votes; they take a session and never commit."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from storage.feedback import add_items, annotator_named, now
from storage.feedback_tables import Annotator, Assignment, Campaign, Candidate, Demo, Ranking

_WITH_CAMPAIGN = select(Demo, Campaign).join(Campaign, Campaign.id == Demo.campaign_id)


def demo(session: Session, demo_id: int) -> tuple[Demo, Campaign] | None:
    row = session.execute(_WITH_CAMPAIGN.where(Demo.id == demo_id)).one_or_none()
    return (row[0], row[1]) if row else None


def demo_by(session: Session, secret: str) -> Demo | None:
    return session.scalar(select(Demo).where(Demo.secret == secret))


def demos(session: Session) -> list[tuple[Demo, Campaign]]:
    """All of them, newest first."""
    return [(row[0], row[1]) for row in session.execute(_WITH_CAMPAIGN.order_by(Demo.id.desc()))]


def visitors(session: Session, campaign_id: int) -> int:
    """How many visitors have voted."""
    statement = select(func.count()).select_from(Annotator)
    return session.scalar(statement.where(Annotator.campaign_id == campaign_id, Annotator.visitor.is_(True))) or 0


def visitor(session: Session, campaign_id: int, secret: str) -> Annotator | None:
    statement = select(Annotator).where(Annotator.campaign_id == campaign_id, Annotator.secret == secret)
    return session.scalar(statement.where(Annotator.visitor.is_(True)))


def add_visitor(session: Session, campaign_id: int, secret: str) -> Annotator:
    """Under the next free number."""
    number = visitors(session, campaign_id) + 1
    while annotator_named(session, campaign_id, f"visitor {number}") is not None:
        number += 1
    annotator = Annotator(
        campaign_id=campaign_id, name=f"visitor {number}", secret=secret, visitor=True, assigned=0, done=0
    )
    session.add(annotator)
    session.flush()
    return annotator


def vote(session: Session, key: str, annotator_id: int) -> tuple[list[list[int]], bool] | None:
    """(groups of places as shown, both bad), as the annotator said it of the answers with this key."""
    statement = select(Assignment.shown, Ranking.groups, Ranking.both_bad)
    statement = statement.join(Ranking, Ranking.assignment_id == Assignment.id)
    mine = (Assignment.key == key, Assignment.annotator_id == annotator_id, Ranking.current.is_(True))
    row = session.execute(statement.where(*mine)).one_or_none()
    if row is None:
        return None
    return [[row.shown.index(candidate_id) for candidate_id in group] for group in row.groups], row.both_bad


def add_vote(
    session: Session,
    campaign_id: int,
    annotator_id: int,
    prompt: str,
    candidates: Sequence[dict[str, Any]],
    key: str,
    groups: Sequence[Sequence[int]],
    both_bad: bool,
    seconds: float,
) -> None:
    """An item that nobody else is given, with its one answer; `groups` are places among the candidates as shown."""
    campaign, annotator = session.get_one(Campaign, campaign_id), session.get_one(Annotator, annotator_id)
    moment = now()
    rows = [{**candidate, "created_at": moment} for candidate in candidates]
    [ids] = add_items(
        session, campaign_id, [{"place": campaign.items, "prompt": prompt, "capacity": 0, "candidates": rows}]
    )
    campaign.items += 1
    row = Assignment(
        campaign_id=campaign_id,
        item_id=session.get_one(Candidate, ids[0]).item_id,
        annotator_id=annotator_id,
        key=key,
        repeat=False,
        shown=ids,
        status="done",
        revision=0,
    )
    session.add(row)
    session.flush()
    answer = {
        "assignment_id": row.id,
        "campaign_id": campaign_id,
        "revision": 0,
        "groups": [[ids[index] for index in group] for group in groups],
        "both_bad": both_bad,
        "seconds": seconds,
        "current": True,
        "created_at": moment,
    }
    session.execute(insert(Ranking), [answer])
    annotator.assigned, annotator.done = annotator.assigned + 1, annotator.done + 1
    annotator.seconds, annotator.seen_at = annotator.seconds + min(seconds, 600.0), moment
