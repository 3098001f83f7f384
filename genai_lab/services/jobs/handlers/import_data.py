"""The jobs that bring data in and look at it: "import", "import-hub" and "profile"."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.data import BadRows
from genai_lab.data.child import limit_memory
from genai_lab.services.datasets import importing, profiling, queued
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from storage.tables import Job


class Import:
    """Writes the version's file; its row is made in the transaction that ends the job, so that it is there once."""

    title = "Import"
    page = "/datasets"

    def __init__(self, name: str, resource: str) -> None:
        self.name, self.resource, self.small = name, resource, resource == "cpu"

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        order = importing.Order.from_dict(settings)
        if lab.worker:
            limit_memory()
        try:
            return importing.write_version(lab, order, lambda rows: report.progress(rows, None, f"{rows:,} rows"))
        except BadRows as problem:
            queued.keep_bad(report.folder, problem.rows, problem.count)
            raise

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """There are no records: the whole counts."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        row, again = importing.adopt(session, result)
        if file := job.settings.get("file"):
            Path(file).unlink(missing_ok=True)
        summary = {"dataset": f"{row.dataset.name}@{row.number}", "version": row.id, "rows": row.rows, "again": again}
        summary |= {"left_out_count": result["left_out_count"], "left_out": result["left_out"]}
        result.clear()
        result.update(summary)


class Profile:
    name = "profile"
    title = "Profile"
    page = "/datasets"
    resource = "cpu"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        def told(done: int, total: int) -> None:
            report.progress(done, total, f"{done:,} of {total:,} rows")

        return profiling.compute_profile(lab, settings["version"], settings["model"], told)

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """There are no records: the whole counts."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        profiling.ingest(session, job.settings["version"], result)
        result.clear()


HANDLERS.register("import")(Import("import", "cpu"))
HANDLERS.register("import-hub")(Import("import-hub", "network"))
HANDLERS.register(Profile.name)(Profile())
