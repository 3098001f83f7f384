"""Answers that come with an import, from annotators who worked elsewhere."""

import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from genai_lab.feedback import Task
from storage import feedback as queries
from storage.feedback_tables import Annotator, Assignment, Campaign, Item, Ranking


def add(session: Any, campaign: Campaign, rows: Sequence[tuple[int, Task, Sequence[int]]]) -> None:
    """The votes of imported items: (item id, task, ids of its candidates) each. They take the items' room, and
    more than there is where they are more than the overlap: room below 0 keeps a wider overlap exact.
    """
    voted = [(item, task, own) for item, task, own in rows if task.votes]
    if not voted:
        return
    people = {name: _person(session, campaign, name) for _, task, _ in voted for name, _ in task.votes}
    now = queries.now()
    made, answers = [], []
    for item, task, own in voted:
        for name, groups in task.votes:
            person = people[name]
            person.done += 1
            person.given += 1
            made.append(
                {
                    "campaign_id": campaign.id,
                    "item_id": item,
                    "annotator_id": person.id,
                    "key": uuid.uuid4().hex,
                    "repeat": False,
                    "shown": list(own),
                    "status": "done",
                    "revision": 0,
                    "created_at": now,
                }
            )
            answers.append([[own[place] for place in group] for group in groups])
        row = session.get_one(Item, item)
        row.room -= len(task.votes)
    ids = list(session.scalars(insert(Assignment).returning(Assignment.id, sort_by_parameter_order=True), made))
    session.execute(
        insert(Ranking),
        [
            {
                "assignment_id": one,
                "campaign_id": campaign.id,
                "revision": 0,
                "groups": groups,
                "seconds": 0.0,
                "current": True,
                "created_at": now,
            }
            for one, groups in zip(ids, answers, strict=True)
        ],
    )


def _person(session: Any, campaign: Campaign, name: str) -> Annotator:
    found = queries.annotator_named(session, campaign.id, name)
    if found is None:
        found = Annotator(campaign_id=campaign.id, name=name, secret=secrets.token_urlsafe(24), given=0, done=0)
        session.add(found)
        session.flush()
    return found
