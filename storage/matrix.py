"""Queries of the prompt matrix: a reader's ratings, and how fast models were."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.evaluation import SYSTEM
from storage.tables import Generation, Rating, Run, RunInput

LOOKED_BACK = 8


class Speed(NamedTuple):
    """What computed cells of a model took together; `seconds` is the time of the whole cells."""

    rows: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


def put_rating(session: Session, generation_id: int, thumb: int | None, comment: str | None) -> Rating | None:
    """Sets what is given and leaves the rest; None where there is no such completion."""
    if session.get(Generation, generation_id) is None:
        return None
    row = session.scalar(select(Rating).where(Rating.generation_id == generation_id))
    if row is None:
        row = Rating(generation_id=generation_id, thumb=0, comment="")
        session.add(row)
    row.thumb = row.thumb if thumb is None else thumb
    row.comment = row.comment if comment is None else comment
    session.flush()
    return row


def find_thumbs(session: Session, run_ids: Sequence[int]) -> list[tuple[Generation, Rating]]:
    """The runs' completions with a thumb up or down, in the order they were written."""
    statement = (
        select(Generation, Rating)
        .join(Rating, Rating.generation_id == Generation.id)
        .where(Generation.run_id.in_(run_ids), Rating.thumb != 0)
    )
    return list(session.execute(statement.order_by(Generation.id)).tuples())


def speed(session: Session, model_id: int, content_hash: str | None) -> Speed | None:
    """Of the newest finished cells of the model that were computed and not remembered; None without any."""
    model_condition = Run.inputs.any(
        (RunInput.model_id == model_id) & (RunInput.content_hash.is_not_distinct_from(content_hash))
    )
    statement = select(Run).where(Run.kind == SYSTEM, Run.status == "finished", Run.seconds > 0, model_condition)
    runs = [run for run in session.scalars(statement.order_by(Run.id.desc()).limit(LOOKED_BACK)) if _computed(run)]
    if not runs:
        return None
    sums = select(
        func.count(),
        func.coalesce(func.sum(Generation.prompt_tokens), 0),
        func.coalesce(func.sum(Generation.completion_tokens), 0),
    ).where(Generation.run_id.in_([run.id for run in runs]))
    rows, prompt, completion = session.execute(sums).one()
    return Speed(rows, prompt, completion, sum(run.seconds or 0.0 for run in runs)) if rows else None


def _computed(run: Run) -> bool:
    return run.settings.get("cached", 0) == 0 and "fitted" in run.settings
