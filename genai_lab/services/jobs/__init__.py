"""Long work, done in processes of its own: queued here, watched from any page, gone on with after a restart.

The Job row is the queue. The one process that holds the data home (the app, or a command that waits) supervises: it
starts workers, reads what they report and writes it down. See `supervisor`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models.checks import size_text
from genai_lab.services.jobs import process, resources
from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.views import View
from storage import jobs as queries
from storage.evaluation import job_of_run
from storage.tables import Job

STATUSES = ("queued", "running", "finished", "cancelled", "failed")
LIVE = queries.LIVE
HOW_ENDED = {"out of memory": "memory ran out", "killed": "its worker was killed"}


@dataclass(frozen=True)
class JobView(View):
    """One job, ready to be shown. `done` of `total` in the body's own units; times in seconds, memory in bytes.

    `waiting` says what a queued job waits for.
    """

    _computed = ("state",)
    id: int
    kind: str
    title: str
    settings: dict[str, Any]
    resource: str
    priority: int
    status: str
    exit_reason: str | None
    done: float
    total: float | None
    message: str
    error: str | None
    seconds: float | None
    seconds_left: float | None
    peak_memory: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    heartbeat_at: datetime | None
    attempt: int
    failed_attempts: list[dict[str, Any]] | None
    parent_id: int | None
    depends_on_id: int | None
    after: list[int] | None
    run_id: int | None
    cancel_requested: bool
    result: dict[str, Any] | None
    waiting: str = ""

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def state(self) -> str:
        """One or two words: the status, "cancelling" where its end has been asked for, or how it ended."""
        return "cancelling" if self.live and self.cancel_requested else self.exit_reason or self.status

    @property
    def attempts(self) -> str:
        """Which attempt this is, and how the ones before it ended; empty for a first one."""
        earlier = [
            one for one in self.failed_attempts or () if one["attempt"] < self.attempt or self.status == "queued"
        ]
        if not earlier:
            return ""
        ends = [
            f"{HOW_ENDED.get(one['reason'], one['reason'])} in attempt {one['attempt']}"
            + (f" (peak {size_text(one['peak_memory'])})" if one["peak_memory"] else "")
            for one in earlier
        ]
        return f"attempt {max(self.attempt, earlier[-1]['attempt'] + 1)}: {', '.join(ends)}"

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; None where the body cannot tell."""
        if self.status == "finished":
            return 1.0
        return min(1.0, self.done / self.total) if self.total else None


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
        raise LabError(f"There is no job {job_id}; the Jobs page lists those there are.")
    return _told_to_wait(lab, [view_of(row)])[0]


def of_run(lab: LabContext, run_id: int) -> JobView | None:
    """The newest job that makes or fills a run; None where there is none."""
    with lab.database.reading() as session:
        job_id = job_of_run(session, run_id)
    return None if job_id is None else show(lab, job_id)


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
    return _told_to_wait(lab, [view_of(row) for row in rows]), total


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


def wait(
    lab: LabContext,
    job_id: int,
    timeout: float | None = None,
    every: float = 0.2,
    seen: Callable[[JobView], None] | None = None,
) -> JobView:
    """Stays until the job has ended; raises LabError after `timeout` seconds, and the job goes on.

    Where nobody supervises this data home, the calling process does so meanwhile. `seen` is shown every look.
    """
    from genai_lab.services.jobs.supervisor import stand_in

    until = None if timeout is None else time.monotonic() + timeout
    own, asked = stand_in(lab), time.monotonic()
    try:
        while (view := show(lab, job_id)).live:
            if until is not None and time.monotonic() > until:
                raise LabError(f"Job {job_id} is still {view.status} after {timeout:g} s; it goes on.")
            if seen is not None:
                seen(view)
            time.sleep(every)
            if own is None and time.monotonic() - asked > 2:
                own, asked = stand_in(lab), time.monotonic()
    finally:
        if own is not None:
            own.stop()
    return view


def log(lab: LabContext, job_id: int, lines: int = 200) -> str:
    """The end of what the worker wrote."""
    show(lab, job_id)
    path = folder(lab, job_id) / process.LOG
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


def view_of(row: Job) -> JobView:
    now = datetime.now(UTC)
    seconds = ((row.ended_at or now) - row.started_at).total_seconds() if row.started_at else None
    kept = {name: getattr(row, name) for name in JobView.__dataclass_fields__ if name not in ("seconds", "waiting")}
    return JobView(**kept, seconds=seconds)


def _told_to_wait(lab: LabContext, views: list[JobView]) -> list[JobView]:
    """The views, of which queued ones say what they wait for."""
    if not any(view.status == "queued" for view in views):
        return views
    with lab.database.reading() as session:
        live = {job.id: job for job in queries.jobs_of_status(session, *LIVE)}
    return [replace(view, waiting=_waiting(lab, view, live)) if view.status == "queued" else view for view in views]


def _waiting(lab: LabContext, view: JobView, live: dict[int, Job]) -> str:
    needed = [live[one] for one in (view.depends_on_id, *(view.after or ())) if one in live]
    if needed:
        return f"waits for {_named(needed)}"
    kind = HANDLERS.get(view.kind) if view.kind in HANDLERS else None
    found = resources.gpus()
    resource = resources.place_of(kind, lab.config.device, found) if kind is not None else view.resource
    running = [job for job in live.values() if job.status == "running" and job.resource == resource]
    if len(running) >= resources.slots(resource, lab.config, found):
        return f"waits for its turn behind {_named(running)}"
    return "waits to be started"


def _named(others: Sequence[Job]) -> str:
    first = f"job {others[0].id} ({others[0].title})"
    return f"{first} and {len(others) - 1} more" if len(others) > 1 else first


def _row(session: Session, job_id: int) -> Job:
    row = session.get(Job, job_id)
    if row is None:
        raise LabError(f"There is no job {job_id}; the Jobs page lists those there are.")
    return row
