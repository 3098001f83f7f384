"""The job "base_samples": completions of a run's held-out prompts by its base, for the ideal frontier."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.services.alignment import playground
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from storage.tables import Job


class BaseSamples:
    name = playground.BASE_SAMPLES
    title = "Samples of a base"
    page = "/align"
    resource = "cpu"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], reporter: JobReporter) -> dict[str, Any]:
        def tell(prompts: int, total: int) -> None:
            reporter.progress(prompts, total, "Letting the base complete the held-out prompts")

        return playground.draw_base_samples(lab, settings["run"], settings["samples"], tell)

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """There are no records: the whole counts."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """The samples lie in the run's folder."""


HANDLERS.register(BaseSamples.name)(BaseSamples())
