"""Queries on evaluations: systems (runs whose completions stand for dataset rows), their outputs and their scores."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, selectinload

from storage.tables import DatasetVersion, Generation, Job, Rating, Response, Run, RunInput, Score, TemplateVersion

SYSTEM = "predict"
EVALUATION = "evaluate"


class Output(NamedTuple):
    """One completion of a system; `example` is the row of its dataset version, `sample` counts its completions."""

    id: int
    example: int
    sample: int
    text: str
    prompt: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    seed: int
    detail: dict[str, Any] | None = None

    @property
    def answer(self) -> str:
        """The text that is measured: none where the model failed or was filtered, though what came is kept."""
        return "" if (self.detail or {}).get("error") else self.text


def run_with_inputs(session: Session, run_id: int) -> Run | None:
    return session.scalar(select(Run).where(Run.id == run_id).options(*_with_inputs()))


def runs_of_kind(
    session: Session, kind: str, *, parent: int | None = None, dataset_version: int | None = None, limit: int = 200
) -> list[Run]:
    """Runs of the kind that are not deleted, newest first."""
    statement = select(Run).where(Run.kind == kind, Run.deleted_at.is_(None))
    if parent is not None:
        statement = statement.where(Run.parent_id == parent)
    if dataset_version is not None:
        statement = statement.where(Run.inputs.any(RunInput.dataset_version_id == dataset_version))
    return list(session.scalars(statement.order_by(Run.id.desc()).limit(limit).options(*_with_inputs())))


def outputs(session: Session, run_id: int) -> list[Output]:
    """The system's completions in the order of its dataset rows."""
    statement = (
        select(
            Generation.id,
            Generation.example,
            Generation.sample_index,
            Generation.text,
            Generation.rendered_prompt,
            Generation.prompt_tokens,
            Generation.completion_tokens,
            Generation.seconds,
            Generation.seed,
            Generation.detail,
        )
        .where(Generation.run_id == run_id, Generation.example.is_not(None))
        .order_by(Generation.example, Generation.sample_index)
    )
    return [Output._make(row) for row in session.execute(statement)]


def outputs_by_row(session: Session, run_id: int) -> list[list[Output]]:
    """The completions of each dataset row that the system answered, in the order of the rows."""
    rows: dict[int, list[Output]] = {}
    for output in outputs(session, run_id):
        rows.setdefault(output.example, []).append(output)
    return list(rows.values())


def counts(session: Session, run_ids: Sequence[int]) -> dict[int, int]:
    """How many completions each run has."""
    statement = (
        select(Generation.run_id, func.count()).where(Generation.run_id.in_(run_ids)).group_by(Generation.run_id)
    )
    return dict(session.execute(statement).tuples().all())


def add_scores(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Adds what is not there yet: a record may come twice after a crash."""
    for row in rows:
        same = {name: row[name] for name in ("run_id", "source_run_id", "metric", "figure", "signature")}
        if session.scalar(select(Score.id).filter_by(**same)) is None:
            session.add(Score(**row))
    session.flush()


def scores(session: Session, run_id: int) -> list[Score]:
    return list(session.scalars(select(Score).where(Score.run_id == run_id).order_by(Score.id)))


def ratings(session: Session, run_id: int) -> dict[int, Rating]:
    """The thumbs and comments of a system's completions, by generation."""
    statement = (
        select(Rating).join(Generation, Generation.id == Rating.generation_id).where(Generation.run_id == run_id)
    )
    return {rating.generation_id: rating for rating in session.scalars(statement)}


def responses(session: Session, keys: Sequence[str]) -> list[Response]:
    """Remembered completions under these keys."""
    return list(session.scalars(select(Response).where(Response.key.in_(keys))))


def add_responses(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Remembers completions that are not remembered yet."""
    fresh = {row["key"]: row for row in rows}
    known = {row.key for row in responses(session, list(fresh))}
    new = [row for key, row in fresh.items() if key not in known]
    if new:
        session.execute(insert(Response), new)


def add_generations(session: Session, rows: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Adds completions of systems that are not there yet."""
    for run_id in {run_id for run_id, _ in rows}:
        mine = [with_key(row) for owner, row in rows if owner == run_id]
        by_key = {(row["row_index"], row["sample_index"]): row for row in mine}
        query = select(Generation.row_index, Generation.sample_index).where(Generation.run_id == run_id)
        indices = {row_index for row_index, _ in by_key}
        stored = {tuple(key) for key in session.execute(query.where(Generation.row_index.in_(indices)))}
        missing = [{"run_id": run_id, "trace": b"", **row} for key, row in by_key.items() if key not in stored]
        if missing:
            session.execute(insert(Generation), missing)


def with_key(row: dict[str, Any]) -> dict[str, Any]:
    """The completion with both indices: a record of a job that began before there were two has the row's alone."""
    return row if "row_index" in row else row | {"row_index": row["sample_index"], "sample_index": 0}


def end_system(session: Session, run_id: int, ended: dict[str, Any]) -> None:
    """A system has all its completions."""
    run = session.get_one(Run, run_id)
    run.status, run.seconds = "finished", ended["seconds"]
    run.settings = run.settings | {name: value for name, value in ended.items() if name != "seconds"}


def fail_system(session: Session, run_id: int, error: str) -> None:
    """A system cannot be completed."""
    run = session.get_one(Run, run_id)
    run.status, run.error = "failed", error


def job_of_run(session: Session, run_id: int) -> int | None:
    return session.scalar(select(Job.id).where(Job.run_id == run_id).order_by(Job.id.desc()).limit(1))


def _with_inputs() -> tuple[Any, ...]:
    inputs = selectinload(Run.inputs)
    return (
        inputs.selectinload(RunInput.model),
        inputs.selectinload(RunInput.dataset_version).selectinload(DatasetVersion.dataset),
        inputs.selectinload(RunInput.template_version).selectinload(TemplateVersion.template),
    )
