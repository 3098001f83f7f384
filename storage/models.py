"""Queries on models; they take a session and never commit."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage.tables import Generation, Model, Run, RunInput

SPEED_TOKENS = 16


def add_model(session: Session, **fields: Any) -> Model:
    model = Model(**fields)
    session.add(model)
    session.flush()
    return model


def model_named(session: Session, name: str) -> Model | None:
    return session.scalar(select(Model).where(Model.name == name))


def all_models(session: Session, *, archived: bool = False) -> list[Model]:
    """Those in use, or the archived ones, in the order they were added."""
    condition = Model.archived_at.is_not(None) if archived else Model.archived_at.is_(None)
    return list(session.scalars(select(Model).where(condition).order_by(Model.id)))


def making(session: Session, rows: Sequence[Model]) -> dict[int, str]:
    """The status of the run that is to make a model, for those that have no files yet."""
    models_by_run = {row.made_by_run_id: row.id for row in rows if row.made_by_run_id and not row.path}
    run_statuses = session.execute(select(Run.id, Run.status).where(Run.id.in_(models_by_run))).tuples()
    return {models_by_run[run]: status for run, status in run_statuses}


def made_by(session: Session, run_ids: Sequence[int]) -> dict[int, Model]:
    """The models that these runs have made or are to make."""
    statement = select(Model).where(Model.made_by_run_id.in_(run_ids))
    return {row.made_by_run_id or 0: row for row in session.scalars(statement)}


def speeds(session: Session, model_ids: Sequence[int]) -> dict[int, float]:
    """Tokens per second that each model wrote in its generations, over those of at least `SPEED_TOKENS` tokens."""
    statement = (
        select(RunInput.model_id, func.sum(Generation.completion_tokens), func.sum(Generation.seconds))
        .join(Generation, Generation.run_id == RunInput.run_id)
        .join(Run, Run.id == RunInput.run_id)
        .where(
            RunInput.model_id.in_(model_ids),
            Run.kind == "generate",
            Generation.completion_tokens >= SPEED_TOKENS,
            Generation.seconds > 0,
        )
        .group_by(RunInput.model_id)
    )
    return {model: tokens / seconds for model, tokens, seconds in session.execute(statement).tuples() if model}


def dtype_choices(session: Session) -> dict[int, str]:
    """The dtypes that users chose, by the model's id."""
    rows = session.execute(select(Model.id, Model.dtype).where(Model.dtype.is_not(None))).tuples()
    return {model: dtype for model, dtype in rows if dtype}


def hash_inputs(session: Session, model: Model) -> None:
    """Runs that were queued before the model was made learn what they read."""
    statement = update(RunInput).where(RunInput.model_id == model.id, RunInput.content_hash.is_(None))
    session.execute(statement.values(content_hash=model.content_hash))


def archive_model(model: Model) -> None:
    model.archived_at = datetime.now(UTC)


def restore_model(model: Model) -> None:
    model.archived_at = None


def descendants(session: Session, model: Model) -> int:
    """How many runs read the model and how many models stand on it, together."""
    runs = session.scalar(select(func.count()).select_from(RunInput).where(RunInput.model_id == model.id)) or 0
    return runs + (session.scalar(select(func.count()).select_from(Model).where(Model.base_id == model.id)) or 0)


def remove_model(session: Session, model: Model) -> None:
    session.delete(model)
    session.flush()
