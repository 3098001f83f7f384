"""Saves what workers report, in order: each block of lines in one transaction with the offset after it."""

import math
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.services.jobs import job_files
from genai_lab.services.jobs.handlers import HANDLERS
from storage import jobs as queries
from storage.tables import Job


def ingest(lab: LabContext, job_id: int, job_folder: Path, offset: int) -> int:
    """Saves the next part of the report; returns the offset after it, or the same offset if there is nothing new."""
    if job_files.size(job_folder / job_files.REPORT) <= offset:
        return offset
    lines = list(job_files.lines(job_folder / job_files.REPORT, offset))
    if not lines:
        return offset
    with lab.database.session() as session:
        job = session.get_one(Job, job_id)
        if job.ingested != offset:
            return job.ingested
        _apply(session, job, [line for line, _ in lines])
        job.ingested = lines[-1][1]
        return job.ingested


def any_record(report: Path, offset: int) -> bool:
    """Whether the report holds a record after this byte offset."""
    while lines := list(job_files.lines(report, offset)):
        if any("record" in line for line, _ in lines):
            return True
        offset = lines[-1][1]
    return False


def _apply(session: Session, job: Job, lines: list[dict[str, Any]]) -> None:
    """Writes progress to the job's row, and records wherever the handler of the job puts them."""
    records = [line["record"] for line in lines if "record" in line]
    if records:
        HANDLERS.get(job.kind).ingest(session, job, records)
    points = [(str(p[0]), int(p[1]), float(p[2])) for p in (line["metric"] for line in lines if "metric" in line)]
    finite = [point for point in points if math.isfinite(point[2])]
    if finite:
        queries.add_metrics(session, job.id, finite)
    progress = [line["progress"] for line in lines if "progress" in line]
    if progress and not job.cancel_requested:
        job.done, job.total, job.message, job.seconds_left = progress[-1]
    beats = [line["heartbeat"] for line in lines if "heartbeat" in line]
    if beats:
        queries.beat(job, max(beats))
