"""The queue: jobs are added, found, cancelled and tried again here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.jobs import job_files, resources
from genai_lab.services.jobs.executors import LocalProcesses, Resources
from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.services.jobs.views import LIVE, STATUSES, JobView, view_of
from storage import jobs as queries
from storage.evaluation import job_of_run
from storage.tables import Job


def enqueue(
    lab: LabContext,
    kind: str,
    settings: dict[str, Any],
    *,
    title: str,
    priority: int = 0,
    parent: int | None = None,
    depends_on: int | None = None,
    after: Sequence[int] = (),
    run_id: int | None = None,
    session: Session | None = None,
) -> int:
    """Queues a job and returns its id; with `session` it joins the caller's transaction. Raises UnknownName.

    It fails with the job that it depends on, and begins when those of `after` have ended in whichever way.
    """
    fields = {
        "kind": kind,
        "title": title,
        "settings": settings,
        "resource": HANDLERS.get(kind).resource,
        "priority": priority,
        "parent_id": parent,
        "depends_on_id": depends_on,
        "after": list(after) or None,
        "run_id": run_id,
    }
    with lab.database.session(session) as transaction:
        return queries.add_job(transaction, **fields).id


def show(lab: LabContext, job_id: int) -> JobView:
    """Raises LabError where there is no such job."""
    with lab.database.reading() as session:
        row = session.get(Job, job_id)
    if row is None:
        raise LabError(f"There is no job {job_id}; the Jobs page lists the existing ones.")
    return _with_waiting(lab, [view_of(row)])[0]


def of_run(lab: LabContext, run_id: int) -> JobView | None:
    """The newest job that makes or fills a run; None where there is none."""
    with lab.database.reading() as session:
        job_id = job_of_run(session, run_id)
    return None if job_id is None else show(lab, job_id)


def of_runs(lab: LabContext, run_ids: Sequence[int]) -> dict[int, JobView]:
    """The newest job of each run, by the run's id."""
    with lab.database.reading() as session:
        rows = queries.jobs_of_runs(session, run_ids)
    views = _with_waiting(lab, [view_of(row) for row in rows.values()])
    return dict(zip(rows, views, strict=True))


def find(
    lab: LabContext,
    *,
    status: str | None = None,
    kinds: Sequence[str] = (),
    search: str = "",
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[JobView], int]:
    """Jobs, newest first, and how many there are in all."""
    if status and status not in STATUSES:
        raise LabError(f"There is no status {status!r}. Known: {', '.join(STATUSES)}.")
    with lab.database.reading() as session:
        rows, total = queries.find_jobs(session, status, kinds, search, limit, offset)
    return _with_waiting(lab, [view_of(row) for row in rows]), total


def cancel(lab: LabContext, job_id: int) -> JobView:
    """Asks for the end of a live job; its processes are gone within 10 s. Nothing happens to one that has ended."""
    with lab.database.session() as session:
        row = _row(session, job_id)
        if row.status in LIVE:
            row.cancel_requested = True
            row.message = "Cancelling"
    return show(lab, job_id)


def retry(lab: LabContext, job_id: int) -> JobView:
    """Queues a failed or cancelled job again; it goes on from the records that it has made."""
    with lab.database.session() as session:
        row = _row(session, job_id)
        if row.status not in ("failed", "cancelled"):
            raise LabError(f"Job {job_id} is {row.status}; only a failed or cancelled job can be tried again.")
        queries.queue_anew(session, row)
    return show(lab, job_id)


def log(lab: LabContext, job_id: int, lines: int = 200) -> str:
    """The end of what the worker wrote."""
    show(lab, job_id)
    path = folder(lab, job_id) / job_files.LOG
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 400 * lines))
        text = stream.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def metrics(lab: LabContext, job_id: int) -> dict[str, list[tuple[int, float]]]:
    """Its curves: (step, value) by name."""
    with lab.database.reading() as session:
        return queries.metrics(session, job_id)


def folder(lab: LabContext, job_id: int) -> Path:
    """Where the job keeps its report, its log and its artefacts."""
    return lab.config.jobs / str(job_id)


def _with_waiting(lab: LabContext, views: list[JobView]) -> list[JobView]:
    """The views; queued ones say what they wait for."""
    if not any(view.status == "queued" for view in views):
        return views
    with lab.database.reading() as session:
        live = {job.id: job for job in queries.jobs_of_status(session, *LIVE)}
    return [replace(view, waiting=_waiting(lab, view, live)) if view.status == "queued" else view for view in views]


def _waiting(lab: LabContext, view: JobView, live: dict[int, Job]) -> str:
    blocking = [live[job_id] for job_id in (view.depends_on_id, *(view.after or ())) if job_id in live]
    if blocking:
        return f"waits for {_titles(blocking)}"
    handler = HANDLERS.get(view.kind) if view.kind in HANDLERS else None
    available = available_resources(lab)
    resource = resources.resource_of(handler, lab.config.device, available) if handler is not None else view.resource
    running = [job for job in live.values() if job.status == "running" and job.resource == resource]
    if len(running) >= available.slots(resource):
        return f"waits for its turn behind {_titles(running)}"
    return "waits to be started"


def available_resources(lab: LabContext) -> Resources:
    """What the workers of this home can occupy, as its supervisor last wrote it; else what this machine has."""
    stored = job_files.read(lab.config.jobs / job_files.RESOURCES)
    if stored is None:
        return LocalProcesses(lab.config.cpu_jobs).resources()
    return Resources(tuple(stored["gpus"]), stored["cpu_slots"], stored["network_slots"])


def _titles(others: Sequence[Job]) -> str:
    first = f"job {others[0].id} ({others[0].title})"
    return f"{first} and {len(others) - 1} more" if len(others) > 1 else first


def _row(session: Session, job_id: int) -> Job:
    row = session.get(Job, job_id)
    if row is None:
        raise LabError(f"There is no job {job_id}; the Jobs page lists the existing ones.")
    return row
