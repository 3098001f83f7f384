"""The job "backup": the whole lab as one file in its own home, while it works."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.models.checks import size_text
from genai_lab.services import backup_store
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from storage.tables import Job


class BackupHandler:
    name = backup_store.KIND
    title = "Backup"
    page = "/backup"
    resource = "cpu"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        def on_progress(done: int, total: int, file: str) -> None:
            report.progress(done, total, f"{size_text(done)} of {size_text(total)}, {file}")

        return backup_store.write(lab, settings["name"], on_progress)

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """There are no records: the whole counts."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """The file is there already."""


HANDLERS.register(BackupHandler.name)(BackupHandler())
