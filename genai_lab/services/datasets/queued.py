"""Imports as jobs: an uploaded file waits under a name of the job's own until its rows are in, or are given up."""

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from genai_lab.context import LabContext
from genai_lab.data import BadRow
from genai_lab.files import write_json
from genai_lab.services import jobs
from genai_lab.services.datasets.importing import Order, incoming
from genai_lab.views import View

KINDS = ("import", "import-hub")
BAD_ROWS = "bad-rows.json"


@dataclass(frozen=True)
class Stuck(View):
    """An import that ended at rows which cannot be read, and that waits for a word: drop them, or stop."""

    job_id: int
    name: str
    rows: tuple[BadRow, ...]
    count: int


def start(lab: LabContext, order: Order) -> int:
    """Queues the import and returns the job's id; the uploaded file may go afterwards."""
    settings = order.as_dict()
    if order.file:
        settings["file"] = str(_kept(lab, Path(order.file)))
    return _enqueue(lab, Order.from_dict(settings))


def stuck(lab: LabContext) -> Stuck | None:
    """The newest import that waits for a word about its bad rows."""
    for view in jobs.find(lab, status="failed", kinds=KINDS, limit=20)[0]:
        path = jobs.folder(lab, view.id) / BAD_ROWS
        if path.is_file():
            report = json.loads(path.read_text())
            return Stuck(
                view.id, view.settings["name"], tuple(BadRow(**bad_row) for bad_row in report["rows"]), report["count"]
            )
    return None


def without_bad(lab: LabContext, job_id: int) -> int:
    """Queues the stuck import again, without the rows that cannot be read; returns the new job's id."""
    order = Order.from_dict(jobs.show(lab, job_id).settings)
    new_job = _enqueue(lab, replace(order, drop_bad=True))
    _answered(lab, job_id)
    return new_job


def give_up(lab: LabContext, job_id: int) -> None:
    """Forgets the stuck import and its file."""
    file = jobs.show(lab, job_id).settings.get("file")
    _answered(lab, job_id)
    if file:
        Path(file).unlink(missing_ok=True)


def keep_bad(folder: Path, rows: Sequence[BadRow], count: int) -> None:
    """Leaves the bad rows in the job's folder, where `stuck` looks."""
    report = {"rows": [asdict(row) for row in rows], "count": count}
    write_json(folder / BAD_ROWS, report)


def _answered(lab: LabContext, job_id: int) -> None:
    (jobs.folder(lab, job_id) / BAD_ROWS).unlink(missing_ok=True)


def _enqueue(lab: LabContext, order: Order) -> int:
    kind = "import-hub" if order.source["kind"] == "hub" else "import"
    return jobs.enqueue(lab, kind, order.as_dict(), title=f"Import {order.name}")


def _kept(lab: LabContext, path: Path) -> Path:
    """The file under a name of the job's own, so that a second upload or a cleaned folder changes nothing."""
    target = incoming(lab) / f"{uuid.uuid4().hex}-{path.name[-60:]}"
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
    return target
