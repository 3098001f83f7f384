"""The job "evaluate": every metric on every system, one record a figure."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.metrics import MetricSpec
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from genai_lab.services.predictions.scoring import score
from storage import evaluation as queries
from storage.tables import Job, Run


class Evaluate:
    name = "evaluate"
    title = "Evaluation"
    page = "/evaluate"
    resource = "device"

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        choices = [MetricSpec(**system_id) for system_id in settings["metrics"]]
        with lab.database.reading() as session:
            runs = {system_id: queries.run_with_inputs(session, system_id) for system_id in settings["systems"]}
        stand = [
            system_id
            for system_id in settings["systems"]
            if (run := runs[system_id]) is not None and run.status != "failed"
        ]
        # Where all have failed, the first says why.
        pairs = [(system, choice) for system in stand or settings["systems"] for choice in choices]
        measured = {item["part"] for item in report.earlier()}
        for count, (system, choice) in enumerate(pairs):
            part = f"{system} {choice.metric} {sorted(choice.settings.items())}"
            report.progress(count, len(pairs), f"{choice.metric} of system {system}")
            if part in measured:
                continue
            for row in score(lab, settings["run"], system, choice, settings["seed"]):
                report.record({"key": f"{part} {row['figure']}", "part": part, "score": row})
        report.progress(len(pairs), len(pairs), "")
        return {"evaluation": settings["run"]}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        queries.add_scores(session, [item["score"] for item in items])

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        run = session.get_one(Run, job.run_id)
        run.status = "finished"


HANDLERS.register(Evaluate.name)(Evaluate())
