"""Tasks of lm-evaluation-harness as a job; what it finds stands in the same tables as every other evaluation."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import BadSetting, LabError
from genai_lab.evaluation import harness
from genai_lab.evaluation.figures import HARNESS
from genai_lab.services import models
from genai_lab.services.datasets import importing
from genai_lab.services.evaluation.evaluations import MOST_SYSTEMS

MOST_SHOTS = 64


def start(
    lab: LabContext,
    names: Sequence[str],
    tasks: Sequence[str],
    *,
    shots: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    folder: Path | None = None,
) -> int:
    """Queues the tasks on these models and returns the job's id; raises LabError for what cannot run.

    `shots` None takes each task's own number; `limit` is the most documents a task.
    """
    from genai_lab.services import jobs

    harness.require()
    model_names, task_names = (
        list(dict.fromkeys(names)),
        list(dict.fromkeys(task.strip() for task in tasks if task.strip())),
    )
    if not 1 <= len(model_names) <= MOST_SYSTEMS:
        raise LabError(f"{len(model_names)} models are chosen; the harness takes 1 to {MOST_SYSTEMS}.")
    if not task_names:
        raise LabError("No task is named; name one, such as arc_easy.")
    if shots is not None and not 0 <= shots <= MOST_SHOTS:
        raise BadSetting("shots", shots, f"a whole number from 0 to {MOST_SHOTS}")
    if limit is not None and limit < 1:
        raise BadSetting("limit", limit, "a whole number from 1")
    for name in model_names:
        card = models.show(lab, name).card
        card.require_torch("the harness")
        if not card.has_weights or not card.modes:
            raise LabError(f"The harness reads log-probabilities of a local model that generates; {name} is none.")
    folder_path = str(folder.resolve()) if folder else None
    settings = {
        "models": model_names,
        "tasks": task_names,
        "shots": shots,
        "limit": limit,
        "seed": seed,
        "folder": folder_path,
    }
    return jobs.enqueue(lab, HARNESS, settings, title=f"Harness: {', '.join(task_names)} on {', '.join(model_names)}")


def run_tasks(lab: LabContext, model: str, settings: dict[str, Any]) -> list[harness.HarnessResult]:
    """The tasks on one model, which is loaded for it."""
    generator: Any = models.load_apart(lab, model)
    try:
        return harness.run(
            generator.module,
            generator.tokenizer,
            settings["tasks"],
            shots=settings["shots"],
            limit=settings["limit"],
            seed=settings["seed"],
            folder=Path(settings["folder"]) if settings["folder"] else None,
        )
    finally:
        generator.close()


def record_of(
    lab: LabContext, settings: dict[str, Any], results: Sequence[tuple[str, harness.HarnessResult]]
) -> dict[str, Any]:
    """What several models made of one task, as JSON: the dataset's file is written, nothing is in the database."""
    task = results[0][1].task
    rows = [{"input": row.prompt, "reference": row.target} for row in results[0][1].rows]
    name = importing.name_from_file(
        "".join(item if item.isalnum() or item in "._-" else "-" for item in f"harness-{task}")[:80]
    )
    source = {"kind": "harness", "task": task, "signature": results[0][1].signature}
    mapping = {"input": ["input"], "reference": ["reference"]}
    dataset = importing.written_rows(lab, rows, importing.Order(name, source, SplitPlan(only="test"), mapping))
    systems = [{"model": model, "signature": item.signature, **asdict(item)} for model, item in results]
    return {"key": task, "task": task, "dataset": dataset, "systems": systems, "seed": settings["seed"]}
