"""The job "get": a model of the shelf, from the first place that has it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from genai_lab.services.models import converting, shelf
from storage import jobs as job_queries
from storage.tables import Job


class GetModel:
    name = shelf.GET
    title = "Model from the shelf"
    page = "/models"
    resource = "network"

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        result = shelf.fetch(lab, settings, report.progress, report.folder)
        if "file" in result and result["card"] is None:
            # Without llama.cpp the model is here once its weights are out of the file.
            copy = converting.make_copy(lab, {"path": result["file"], "name": result["entry"]}, report.progress)
            return {"copy": copy}
        return result

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """There are no records: the whole counts."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """The model's row; of a file that llama.cpp runs, a job for the copy that torch computes."""
        if "copy" in result:
            name = converting.add_copy(session, result["copy"])
        else:
            name = shelf.add(session, result)
            if "file" in result:
                order = {"path": result["file"], "name": result["entry"], "entry": result["entry"], "made_from": name}
                title = f"Import {result['entry']}"
                job_queries.add_job(session, kind=converting.CONVERT, title=title, settings=order, resource="cpu")
        result.clear()
        result["model"] = name


HANDLERS.register(GetModel.name)(GetModel())
