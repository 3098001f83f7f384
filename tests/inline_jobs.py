"""Jobs in the test's own process: no worker has to start, and what a job raises reaches the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import jobs
from genai_lab.services.jobs.handlers import HANDLERS
from storage import jobs as job_queries
from storage.tables import Job


class InlineReport:
    """What a job reports, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[dict[str, Any]] = []
        self.metrics: list[tuple[str, int, float]] = []

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self.last = (done, total, message)

    def metric(self, name: str, step: int, value: float) -> None:
        self.metrics.append((name, step, value))

    def record(self, item: dict[str, Any]) -> None:
        self.records.append(item)

    def earlier(self) -> Iterator[dict[str, Any]]:
        return iter(())


def wait_inline(
    lab: LabContext,
    job_id: int,
    timeout: float | None = None,
    every: float = 0.2,
    on_poll: Callable[[Any], None] | None = None,
) -> jobs.JobView:
    """Stands in for `jobs.wait`: runs what is queued up to this job and not cancelled, in order; returns the job."""
    for view in sorted(jobs.find(lab, status="queued", limit=200)[0], key=lambda view: view.id):
        if view.id <= job_id and not view.cancel_requested:
            run_job(lab, view)
    return jobs.show(lab, job_id)


def run_inline(lab: LabContext, job_id: int) -> jobs.JobView:
    """The job once it has ended: it and what it depends on run here, other queued jobs stay; a LabError fails it."""
    view = jobs.show(lab, job_id)
    if view.depends_on_id is not None and jobs.show(lab, view.depends_on_id).live:
        run_inline(lab, view.depends_on_id)
    try:
        run_job(lab, view)
    except LabError as problem:
        with lab.database.session() as session:
            job_queries.end_job(session, session.get_one(Job, job_id), "failed", "failed", str(problem))
    return jobs.show(lab, job_id)


def cancel_queued(lab: LabContext) -> None:
    """Cancels what no test has run, which the supervisor of a later test would start in workers."""
    for view in jobs.find(lab, status="queued", limit=500)[0]:
        jobs.cancel(lab, view.id)


def run_job(lab: LabContext, view: jobs.JobView) -> None:
    """One job from beginning to end, as worker and supervisor do it."""
    handler, report = HANDLERS.get(view.kind), InlineReport(jobs.folder(lab, view.id))
    report.folder.mkdir(parents=True, exist_ok=True)
    result = handler.run(lab, view.settings, report)
    with lab.database.session() as session:
        job = session.get_one(Job, view.id)
        job_queries.add_metrics(session, job.id, report.metrics)
        handler.ingest(session, job, report.records)
        handler.complete(session, job, result)
        job_queries.end_job(session, job, "finished", "finished", None, None, result)
