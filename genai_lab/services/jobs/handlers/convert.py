"""The job "convert": a GGUF file as a model that torch computes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from genai_lab.services.models import converting
from storage.tables import Job


class Convert:
    name = converting.CONVERT
    title = "GGUF import"
    page = "/models"
    resource = "cpu"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        return converting.make_copy(lab, settings, report.progress)

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """There are no records: the whole counts."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        name = converting.add_copy(session, result)
        result.clear()
        result["model"] = name


HANDLERS.register(Convert.name)(Convert())
