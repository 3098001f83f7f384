"""Answers that come with an import, from annotators who worked elsewhere."""

import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from genai_lab.feedback import RankingTask
from storage import feedback as queries
from storage.feedback_tables import Annotator, Campaign, Item


def add(session: Any, campaign: Campaign, rows: Sequence[tuple[int, RankingTask, Sequence[int]]]) -> None:
    """The votes of imported items: (item id, task, ids of its candidates) each. They take capacity, and more
    than there is where they are more than the overlap: a capacity below 0 keeps a wider overlap exact.
    """
    voted = [(item, task, candidate_ids) for item, task, candidate_ids in rows if task.votes]
    if not voted:
        return
    people = {name: _person(session, campaign, name) for _, task, _ in voted for name, _ in task.votes}
    now = queries.now()
    assignments, answers = [], []
    for item, task, candidate_ids in voted:
        for name, groups in task.votes:
            person = people[name]
            person.done += 1
            person.assigned += 1
            assignments.append(
                {
                    "campaign_id": campaign.id,
                    "item_id": item,
                    "annotator_id": person.id,
                    "key": uuid.uuid4().hex,
                    "repeat": False,
                    "shown": list(candidate_ids),
                    "status": "done",
                    "revision": 0,
                    "created_at": now,
                }
            )
            answers.append([[candidate_ids[index] for index in group] for group in groups])
        row = session.get_one(Item, item)
        row.capacity -= len(task.votes)
    queries.add_answers(session, assignments, answers)


def _person(session: Any, campaign: Campaign, name: str) -> Annotator:
    annotator = queries.annotator_named(session, campaign.id, name)
    if annotator is None:
        annotator = queries.add_annotator(session, campaign.id, name, secrets.token_urlsafe(24))
    return annotator
