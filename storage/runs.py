"""Queries on runs and their generations; they take a session and never commit."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from storage.feedback_tables import Campaign
from storage.tables import Dataset, DatasetVersion, Generation, Model, Run, RunInput

PART = "predict"  # the kind of a system; a matrix consists of them
_INPUTS = (
    selectinload(Run.inputs).selectinload(RunInput.model),
    selectinload(Run.inputs).selectinload(RunInput.dataset_version).selectinload(DatasetVersion.dataset),
)


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
    loading = selectinload(Run.inputs).selectinload(RunInput.model), selectinload(Run.generations)
    return session.scalar(select(Run).where(Run.id == run_id).options(*loading))


def runs_of_group(session: Session, group: str) -> list[Run]:
    """The runs that were begun together, in the order of their panels or cells."""
    loading = selectinload(Run.inputs).selectinload(RunInput.model), selectinload(Run.generations)
    return list(session.scalars(select(Run).where(Run.group == group).order_by(Run.id).options(*loading)))


def find_runs(session: Session, search: str, limit: int, offset: int, kind: str = "generate") -> tuple[list[Run], int]:
    """Runs of a kind, newest first, and how many; an empty kind stands for all but those that others consist of.

    Each holds every word of `search` in its title, prompt, completion, or in the name of a model or dataset it read.
    """
    conditions: list[ColumnElement[bool]] = [Run.deleted_at.is_(None)]
    conditions.append(Run.kind == kind if kind else or_(Run.kind != PART, Run.parent_id.is_(None)))
    for word in search.split():
        text = f"%{_escaped(word)}%"
        dataset = DatasetVersion.dataset.has(Dataset.name.ilike(text, escape="\\"))
        dataset_versions = select(DatasetVersion.id).where(DatasetVersion.made_by_run_id == Run.id, dataset).exists()
        conditions.append(
            or_(
                Run.title.ilike(text, escape="\\"),
                Run.generations.any(
                    or_(Generation.rendered_prompt.ilike(text, escape="\\"), Generation.text.ilike(text, escape="\\"))
                ),
                Run.inputs.any(RunInput.model.has(Model.name.ilike(text, escape="\\"))),
                Run.inputs.any(RunInput.dataset_version.has(dataset)),
                dataset_versions,
            )
        )
    total = session.scalar(select(func.count()).select_from(Run).where(*conditions)) or 0
    rows = select(Run).where(*conditions).order_by(Run.id.desc()).limit(limit).offset(offset).options(*_INPUTS)
    return list(session.scalars(rows)), total


def runs_by_id(session: Session, run_ids: Sequence[int]) -> list[Run]:
    """The runs with these ids, with their models and datasets loaded; deleted ones too."""
    return list(session.scalars(select(Run).where(Run.id.in_(run_ids)).options(*_INPUTS)))


def firsts_of(session: Session, run_ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """The first completion's text of each run, and the tokens of all its completions; runs without any are left out."""
    texts = select(Generation.run_id, Generation.text).where(
        Generation.id.in_(
            select(func.min(Generation.id)).where(Generation.run_id.in_(run_ids)).group_by(Generation.run_id)
        )
    )
    counts = (
        select(Generation.run_id, func.sum(Generation.completion_tokens))
        .where(Generation.run_id.in_(run_ids))
        .group_by(Generation.run_id)
    )
    tokens = {run: int(count or 0) for run, count in session.execute(counts)}
    return {run: (text or "", tokens.get(run, 0)) for run, text in session.execute(texts)}


def datasets_made_by(session: Session, run_ids: Sequence[int]) -> dict[int, str]:
    """NAME@NUMBER of the dataset version that each of the runs made."""
    rows = session.scalars(select(DatasetVersion).where(DatasetVersion.made_by_run_id.in_(run_ids)))
    return {row.made_by_run_id: f"{row.dataset.name}@{row.number}" for row in rows if row.made_by_run_id}


def campaigns_made_by(session: Session, run_ids: Sequence[int]) -> dict[int, int]:
    """The campaign that each of the runs made."""
    statement = select(Campaign.made_by_run_id, Campaign.id).where(Campaign.made_by_run_id.in_(run_ids))
    return {run: campaign for run, campaign in session.execute(statement) if run is not None}


def any_run(session: Session) -> bool:
    """Whether anything has been run, deleted runs among them."""
    return session.scalar(select(Run.id).limit(1)) is not None


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
