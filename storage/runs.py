"""Queries on runs and their generations; they take a session and never commit."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session, defer, selectinload

from storage.tables import Generation, Model, Run, RunInput


def add_run(session: Session, inputs: Sequence[RunInput], **fields: Any) -> Run:
    run = Run(inputs=list(inputs), **fields)
    session.add(run)
    session.flush()
    return run


def finish_run(session: Session, run_id: int, generations: Sequence[Generation], **fields: Any) -> None:
    run = session.get_one(Run, run_id)
    for name, value in fields.items():
        setattr(run, name, value)
    run.generations.extend(generations)


def name_run(session: Session, run_id: int, title: str, tags: Sequence[str]) -> None:
    run = session.get_one(Run, run_id)
    run.title, run.tags = title, list(tags)


def run_with_all(session: Session, run_id: int) -> Run | None:
    """The run with inputs, their models and generations loaded; deleted ones are found too, so that undo can work."""
    wanted = selectinload(Run.inputs).selectinload(RunInput.model), selectinload(Run.generations)
    return session.scalar(select(Run).where(Run.id == run_id).options(*wanted))


def runs_of_group(session: Session, group: str) -> list[Run]:
    """The runs that were begun together, in the order of their panels or cells."""
    wanted = selectinload(Run.inputs).selectinload(RunInput.model), selectinload(Run.generations)
    return list(session.scalars(select(Run).where(Run.group == group).order_by(Run.id).options(*wanted)))


def find_runs(session: Session, search: str, limit: int, offset: int) -> tuple[list[Run], int]:
    """The playground's runs whose model, prompt or completion holds every word of `search`, newest first; how many."""
    wanted: list[ColumnElement[bool]] = [Run.deleted_at.is_(None), Run.kind == "generate"]
    for word in search.split():
        text = f"%{_escaped(word)}%"
        wanted.append(
            or_(
                Run.generations.any(
                    or_(Generation.rendered_prompt.ilike(text, escape="\\"), Generation.text.ilike(text, escape="\\"))
                ),
                Run.inputs.any(RunInput.model.has(Model.name.ilike(text, escape="\\"))),
            )
        )
    total = session.scalar(select(func.count()).select_from(Run).where(*wanted)) or 0
    rows = (
        select(Run)
        .where(*wanted)
        .order_by(Run.id.desc())
        .limit(limit)
        .offset(offset)
        .options(
            selectinload(Run.inputs).selectinload(RunInput.model),
            selectinload(Run.generations).options(defer(Generation.trace)),
        )
    )
    return list(session.scalars(rows)), total


def set_deleted(session: Session, run_ids: Sequence[int], deleted: bool) -> int:
    """Hide the runs or bring them back; how many changed."""
    moment = datetime.now(UTC) if deleted else None
    changed = session.execute(update(Run).where(Run.id.in_(run_ids)).values(deleted_at=moment))
    return int(getattr(changed, "rowcount", 0))


def end_interrupted(session: Session, message: str) -> int:
    """The playground's runs that were under way when the app ended are marked as failed; a job's go on with it."""
    unfinished = update(Run).where(Run.status == "running", Run.kind == "generate")
    changed = session.execute(unfinished.values(status="failed", error=message))
    return int(getattr(changed, "rowcount", 0))


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
