"""Queries on models; they take a session and never commit."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.tables import Model, RunInput


def add_model(session: Session, **fields: Any) -> Model:
    model = Model(**fields)
    session.add(model)
    session.flush()
    return model


def model_named(session: Session, name: str) -> Model | None:
    return session.scalar(select(Model).where(Model.name == name))


def all_models(session: Session, *, archived: bool = False) -> list[Model]:
    """Those in use, or the archived ones, in the order they were added."""
    wanted = Model.archived_at.is_not(None) if archived else Model.archived_at.is_(None)
    return list(session.scalars(select(Model).where(wanted).order_by(Model.id)))


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
