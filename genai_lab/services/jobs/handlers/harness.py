"""The job "harness": tasks of lm-evaluation-harness on one model after another, then a task's systems side by side."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.evaluation.figures import HARNESS
from genai_lab.services import runs
from genai_lab.services.datasets import importing
from genai_lab.services.evaluation import harness
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from storage import evaluation as queries
from storage import models
from storage import runs as run_queries
from storage.tables import DatasetVersion, Job, Run, RunInput


class Harness:
    name = HARNESS
    title = "Evaluation harness"
    page = "/evaluate"
    resource = "device"

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        by_task: dict[str, list[tuple[str, Any]]] = {}
        names = settings["models"]
        for number, model in enumerate(names):
            report.progress(number, len(names), f"{', '.join(settings['tasks'])} on {model}")
            for result in harness.run_tasks(lab, model, settings):
                by_task.setdefault(result.task, []).append((model, result))
        for results in by_task.values():
            report.record(harness.record_of(lab, settings, results))
        return {"tasks": list(by_task)}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        for item in items:
            group = f"harness {job.id} {item['task']}"
            if not run_queries.runs_of_group(session, group):
                _kept(session, job, item, group)

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        runs_by_task = {
            task: run_queries.runs_of_group(session, f"harness {job.id} {task}") for task in result["tasks"]
        }
        result["evaluations"] = [
            run.id for task_runs in runs_by_task.values() for run in task_runs if run.kind == queries.EVALUATION
        ]


def _kept(session: Session, job: Job, item: dict[str, Any], group: str) -> None:
    """The dataset version, a system a model, and the evaluation that sets them side by side."""
    version, _ = importing.adopt(session, item["dataset"])
    systems = [_system(session, version, entry, item, group) for entry in item["systems"]]
    inputs = [RunInput(role=f"system {n}", source_run_id=run.id) for n, run in enumerate(systems, 1)]
    settings = {
        "title": f"Harness: {item['task']}",
        "metrics": [{"metric": HARNESS, "settings": {}}],
        "systems": [run.id for run in systems],
        "baseline": systems[0].id,
    }
    evaluation = _run(session, [*inputs, _read(version)], queries.EVALUATION, settings, item, group)
    for run, entry in zip(systems, item["systems"], strict=True):
        queries.add_scores(session, [_score(evaluation.id, run.id, figure, entry) for figure in entry["figures"]])


def _system(
    session: Session, version: DatasetVersion, predictions: dict[str, Any], item: dict[str, Any], group: str
) -> Run:
    model = models.model_named(session, predictions["model"])
    assert model is not None
    read = RunInput(role="model", model_id=model.id, content_hash=model.content_hash)
    settings = {"label": predictions["model"], "harness": predictions["signature"]}
    run = _run(session, [read, _read(version)], queries.SYSTEM, settings, item, group)
    queries.add_generations(session, [(run.id, _generation(n, row)) for n, row in enumerate(predictions["rows"])])
    return run


def _run(
    session: Session, inputs: list[RunInput], kind: str, settings: dict[str, Any], item: dict[str, Any], group: str
) -> Run:
    return runs.begin(session, kind, inputs, settings, item["seed"], group=group, status="finished")


def _read(version: DatasetVersion) -> RunInput:
    return RunInput(role="dataset", dataset_version_id=version.id, content_hash=version.content_hash)


def _generation(index: int, row: dict[str, str]) -> dict[str, Any]:
    return {
        "example": index,
        "row_index": index,
        "sample_index": 0,
        "rendered_prompt": row["prompt"],
        "text": row["text"],
        "finish_reason": "end of text",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "seconds": 0.0,
        "seed": 0,
        "detail": {"harness": True},
    }


def _score(evaluation: int, system: int, figure: dict[str, Any], figure_row: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": evaluation,
        "source_run_id": system,
        "metric": HARNESS,
        "figure": figure["name"],
        "signature": figure_row["signature"],
        "settings": {},
        "value": figure["value"],
        "low": figure["low"],
        "high": figure["high"],
        "n": len(figure_row["rows"]),
        "per_example": figure["values"],
        "detail": {},
    }


HANDLERS.register(Harness.name)(Harness())
