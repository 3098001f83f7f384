"""What workers report, written down in order: each block of lines in one transaction with the offset after it."""

import math
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.services.jobs import process
from genai_lab.services.jobs.handlers import HANDLERS
from storage import jobs as queries
from storage.tables import Job


def ingest(lab: LabContext, job_id: int, place: Path, offset: int) -> int:
    """Writes down the next part of the report; gives the offset after it, the same where there was nothing new."""
    if process.size(place / process.REPORT) <= offset:
        return offset
    found = list(process.lines(place / process.REPORT, offset))
    if not found:
        return offset
    with lab.database.session() as session:
        job = session.get_one(Job, job_id)
        if job.ingested != offset:
            return job.ingested
        _apply(session, job, [line for line, _ in found])
        job.ingested = found[-1][1]
        return job.ingested


def any_record(report: Path, offset: int) -> bool:
    """Whether the report holds a record after this byte offset."""
    while found := list(process.lines(report, offset)):
        if any("record" in line for line, _ in found):
            return True
        offset = found[-1][1]
    return False


def _apply(session: Session, job: Job, found: list[dict[str, Any]]) -> None:
    """What the lines say, written to the job's row and, by its kind, wherever records belong."""
    records = [line["record"] for line in found if "record" in line]
    if records:
        HANDLERS.get(job.kind).ingest(session, job, records)
    points = [(str(p[0]), int(p[1]), float(p[2])) for p in (line["metric"] for line in found if "metric" in line)]
    finite = [point for point in points if math.isfinite(point[2])]
    if finite:
        queries.add_metrics(session, job.id, finite)
    told = [line["progress"] for line in found if "progress" in line]
    if told and not job.cancel_requested:
        job.done, job.total, job.message, job.seconds_left = told[-1]
    beats = [line["heartbeat"] for line in found if "heartbeat" in line]
    if beats:
        queries.beat(job, max(beats))
