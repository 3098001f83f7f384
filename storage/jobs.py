"""Queries on jobs; they take a session and never commit."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from storage.database import Database
from storage.tables import Job, JobMetric, Run

LIVE = ("queued", "running")
CLAIM = 7_426_001
MetricPoint = tuple[int, float]


def add_job(session: Session, **fields: Any) -> Job:
    job = Job(status="queued", **fields)
    session.add(job)
    session.flush()
    return job


def find_jobs(
    session: Session, status: str | None, kinds: Sequence[str], search: str, limit: int, offset: int
) -> tuple[list[Job], int]:
    """Jobs whose title holds every word of `search`, newest first, and how many there are."""
    statement = select(Job)
    if status:
        statement = statement.where(Job.status == status)
    if kinds:
        statement = statement.where(Job.kind.in_(kinds))
    for word in search.split():
        statement = statement.where(or_(Job.title.icontains(word, autoescape=True), Job.kind == word))
    total = session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    return list(session.scalars(statement.order_by(Job.id.desc()).limit(limit).offset(offset))), total


def jobs_of_status(session: Session, *statuses: str) -> list[Job]:
    """The most urgent first, then the oldest."""
    return list(session.scalars(select(Job).where(Job.status.in_(statuses)).order_by(Job.priority.desc(), Job.id)))


def jobs_of_runs(session: Session, run_ids: Sequence[int]) -> dict[int, Job]:
    """The newest job of each run, by the run's id."""
    rows = session.scalars(select(Job).where(Job.run_id.in_(run_ids)).order_by(Job.id))
    return {row.run_id: row for row in rows if row.run_id is not None}


def add_metrics(session: Session, job_id: int, points: Sequence[tuple[str, int, float]]) -> None:
    """Adds points of curves; a later value of the same step replaces the earlier."""
    for name, step, value in {(name, step): (name, step, value) for name, step, value in points}.values():
        session.execute(delete(JobMetric).filter_by(job_id=job_id, name=name, step=step))
        session.add(JobMetric(job_id=job_id, name=name, step=step, value=value))
    session.flush()


def metrics(session: Session, job_id: int) -> dict[str, list[tuple[int, float]]]:
    points: dict[str, list[tuple[int, float]]] = {}
    statement = select(JobMetric).where(JobMetric.job_id == job_id).order_by(JobMetric.name, JobMetric.step)
    for point in session.scalars(statement):
        points.setdefault(point.name, []).append((point.step, point.value))
    return points


def extremes(
    session: Session, job_ids: Sequence[int], name: str, *, highest: bool = False
) -> dict[int, tuple[MetricPoint, MetricPoint]]:
    """By job, the last and the lowest (or highest) point of a curve as (step, value); of equal ones the first."""
    late = func.row_number().over(partition_by=JobMetric.job_id, order_by=JobMetric.step.desc())
    value = JobMetric.value.desc() if highest else JobMetric.value
    low = func.row_number().over(partition_by=JobMetric.job_id, order_by=(value, JobMetric.step))
    ranked = (
        select(JobMetric.job_id, JobMetric.step, JobMetric.value, late.label("late"), low.label("low"))
        .where(JobMetric.job_id.in_(job_ids), JobMetric.name == name)
        .subquery()
    )
    last: dict[int, MetricPoint] = {}
    extreme: dict[int, MetricPoint] = {}
    for job, step, value, recency, rank in session.execute(
        select(ranked).where((ranked.c.late == 1) | (ranked.c.low == 1))
    ):
        if recency == 1:
            last[job] = (step, value)
        if rank == 1:
            extreme[job] = (step, value)
    return {job: (last[job], extreme[job]) for job in last}


def last_values(session: Session, job_ids: Sequence[int], name: str) -> dict[int, MetricPoint]:
    """By job, the last point of a curve as (step, value)."""
    newest = (
        select(JobMetric.job_id, func.max(JobMetric.step).label("step"))
        .where(JobMetric.job_id.in_(job_ids), JobMetric.name == name)
        .group_by(JobMetric.job_id)
        .subquery()
    )
    statement = select(JobMetric).join(
        newest, (JobMetric.job_id == newest.c.job_id) & (JobMetric.step == newest.c.step)
    )
    return {
        point.job_id: (point.step, point.value) for point in session.scalars(statement.where(JobMetric.name == name))
    }


def may_start(session: Session, job: Job) -> bool:
    """Whether what the job waits for is over; where what it depends on failed or was cancelled, it fails with it."""
    if job.after and session.scalar(select(Job.id).where(Job.id.in_(job.after), Job.status.in_(LIVE)).limit(1)):
        return False
    if job.depends_on_id is None:
        return True
    other = session.get_one(Job, job.depends_on_id)
    if other.status in ("failed", "cancelled"):
        reason = f" ({other.error.rstrip('.')})" if other.error else ""
        how = f"failed{reason}" if other.status == "failed" else "was cancelled"
        message = f"Job {other.id} ({other.title}), which this one needs, {how}; try that one again, then this one."
        end_job(session, job, "failed", "failed", message)
    return other.status == "finished"


def mark_running(job: Job, resource: str) -> None:
    """A new attempt begins; what was known of the last one's process is forgotten."""
    job.status, job.resource, job.attempt = "running", resource, job.attempt + 1
    job.started_at = job.started_at or datetime.now(UTC)
    job.message, job.seconds_left, job.pid, job.process_started = "Starting", None, None, None


def name_process(session: Session, job_id: int, pid: int, started: int | None) -> None:
    job = session.get_one(Job, job_id)
    job.pid, job.process_started, job.heartbeat_at = pid, started, datetime.now(UTC)


def beat(job: Job, peak: int) -> None:
    """The worker lives and has had at most `peak` bytes of memory."""
    job.heartbeat_at = datetime.now(UTC)
    job.peak_memory = max(job.peak_memory or 0, peak)


def add_failed_attempt(session: Session, job_id: int, failed: dict[str, Any]) -> list[dict[str, Any]]:
    """Notes how an attempt ended; all that failed since a user queued the job."""
    job = session.get_one(Job, job_id)
    job.failed_attempts = [*(job.failed_attempts or ()), failed]
    return job.failed_attempts


def queue_again(session: Session, job_id: int, message: str) -> None:
    job = session.get_one(Job, job_id)
    job.status, job.message, job.seconds_left, job.pid, job.process_started = "queued", message, None, None, None


def end_job(
    session: Session,
    job: Job,
    status: str,
    reason: str,
    error: str | None,
    peak: int | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    """The job has ended, and with it the run that it was to make."""
    job.status, job.exit_reason, job.error, job.result = status, reason, error, result
    job.ended_at, job.message, job.seconds_left = datetime.now(UTC), "", None
    job.pid, job.process_started = None, None
    job.peak_memory = max(job.peak_memory or 0, peak or 0) or None
    end_run(session, job.run_id, status, error)


def queue_anew(session: Session, job: Job) -> None:
    """An ended job is queued once more, and the runs that ended with it are under way again."""
    if job.run_id is not None:
        statement = update(Run).where(or_(Run.id == job.run_id, Run.parent_id == job.run_id))
        shared = statement.where(Run.status == job.status, Run.error.is_not_distinct_from(job.error))
        session.execute(shared.values(status="running", error=None))
    job.status, job.exit_reason, job.error, job.cancel_requested = "queued", None, None, False
    job.ended_at, job.message, job.failed_attempts = None, "", None


def claim(database: Database, stack: ExitStack) -> bool:
    """Takes the lock of a PostgreSQL database until `kept` is closed or this process ends; False where it is taken."""
    if database.writer.dialect.name != "postgresql":
        return True
    connection = database.writer.connect().execution_options(isolation_level="AUTOCOMMIT")
    if not connection.scalar(select(func.pg_try_advisory_lock(CLAIM))):
        connection.close()
        return False
    stack.callback(connection.close)
    stack.callback(connection.invalidate)
    return True


def end_run(session: Session, run_id: int | None, status: str, error: str | None) -> None:
    """The run that a job was to make, and those below it, share its end unless they have ended by themselves."""
    if run_id is not None:
        statement = update(Run).where(or_(Run.id == run_id, Run.parent_id == run_id), Run.status == "running")
        values = {"error": error} if error is not None else {}
        session.execute(statement.values(status=status, **values))
