"""The job "download": a model's files from the Hub; its card goes into the catalogue when all are there."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.models import BACKENDS
from genai_lab.services import models
from genai_lab.services.downloads import KIND
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from storage import models as queries
from storage.tables import Job


class DownloadHandler:
    name = KIND
    title = "Download"
    page = "/models"
    resource = "network"

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        from genai_lab.models import download

        order = download.DownloadPlan.from_dict(settings)
        report.progress(download.present(order), order.bytes, "")
        card = download.fetch(order, lab.options, lambda done, name: report.progress(done, order.bytes, name))
        stored = asdict(card)
        return {"card": stored | {"path": str(card.path)}}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """There are no records: the whole counts."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        card = models.card_of(result["card"])
        for row in queries.all_models(session) + queries.all_models(session, archived=True):
            if BACKENDS.get(row.backend).downloads and (row.source["location"], row.source.get("revision")) == (
                card.source.location, card.source.revision
            ):  # fmt: skip
                models.update_row(row, replace(card, name=row.name))


HANDLERS.register(DownloadHandler.name)(DownloadHandler())
