"""The job "matrix": cell after cell, every completion a record, each cell's scores when its rows are done.

A cell that cannot be answered, since its model does not load, fails alone.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import Choice
from genai_lab.services import packing
from genai_lab.services.jobs.handlers import HANDLERS, Reporter
from genai_lab.services.matrix import MATRIX, Plan
from storage import evaluation as queries
from storage.tables import Job, Run


class Matrix:
    name = MATRIX
    resource = "device"

    def run(self, lab: LabContext, settings: dict[str, Any], report: Reporter) -> dict[str, Any]:
        plan = Plan.from_dict(settings["plan"])
        earlier: dict[int, dict[int, dict[str, Any]]] = {}
        ended, failed = set(), {}
        for item in report.earlier():
            if "generation" in item:
                earlier.setdefault(item["cell"], {})[item["generation"]["example"]] = item["generation"]
            elif "ended" in item:
                ended.add(item["cell"])
        counts = {"requests": 0, "cached": 0, "errors": 0}
        for number, cell in enumerate(settings["cells"]):
            if cell in ended:
                continue
            try:
                for item in cell_records(lab, settings["run"], cell, plan, earlier.get(cell, {}), counts):
                    report.record(item)
                    if "generation" in item:
                        share = item["number"] / max(1, item["of"])
                        words = f"cell {number + 1} of {len(settings['cells'])}, row {item['number']} of {item['of']}"
                        report.progress(number + share, len(settings["cells"]), words)
            except LabError as problem:
                failed[cell] = str(problem)
                report.record({"key": f"{cell} failed", "cell": cell, "failed": str(problem)})
        if len(failed) == len(settings["cells"]):
            raise LabError(next(iter(failed.values())))
        return {"matrix": settings["run"], "failed": len(failed), **counts}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        for item in items:
            if "scores" in item:
                queries.add_scores(session, item["scores"])
            if "ended" in item:
                queries.end_system(session, item["cell"], item["ended"])
            if "failed" in item:
                queries.fail_system(session, item["cell"], item["failed"])
        queries.add_generations(session, [(item["cell"], item["generation"]) for item in items if "generation" in item])
        queries.add_responses(session, [item["response"] for item in items if "response" in item])

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """The runs end with the job; where cells have failed, the matrix says how many."""
        if failed := result.get("failed"):
            run = session.get_one(Run, job.run_id)
            run.error = f"{failed} of {len(job.settings['cells'])} cells failed; the others stand."


def cell_records(
    lab: LabContext, matrix: int, cell: int, plan: Plan, earlier: dict[int, dict[str, Any]], counts: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Everything that a cell finds out: its completions, then its scores, then its end."""
    from genai_lab.services.matrix.predicting import CellPlan, answers, asked

    began = time.perf_counter()
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, cell)
    assert run is not None
    template = next(one.template_version for one in run.inputs if one.template_version_id)
    version = next(one.dataset_version_id for one in run.inputs if one.dataset_version_id)
    own = CellPlan(
        run.model_input.model.name, f"{template.template.name}@{template.number}", version or 0, run.settings, run.seed
    )
    every = asked(lab, own)
    places = {one.example.key: place for place, one in enumerate(every)}
    texts = {example: "" if row["detail"]["error"] else row["text"] for example, row in earlier.items()}
    left = [one for one in every if one.example.key not in earlier]
    counts["requests"] += len(left)
    cached = sum(row["detail"]["cached"] for row in earlier.values())
    for done, one in enumerate(answers(lab, own, left, plan.use_cache), len(every) - len(left) + 1):
        cached += one.cached
        counts["cached"] += one.cached
        counts["errors"] += one.error is not None
        key = one.asked.example.key
        texts[key] = "" if one.error else one.text
        generation = packing.storable(
            {
                "example": key,
                "sample_index": places[key],
                "rendered_prompt": one.asked.fitted.rendered.text,
                "text": one.text,
                "finish_reason": one.finish_reason,
                "prompt_tokens": one.prompt_tokens,
                "completion_tokens": one.completion_tokens,
                "seconds": one.seconds,
                "seed": one.asked.sampling.seed or 0,
                "detail": {"shots": list(one.asked.shots), "cached": one.cached, "error": one.error},
            }
        )
        item = {"key": f"{cell} {key}", "cell": cell, "generation": generation, "number": done, "of": len(every)}
        if not one.cached and one.error is None:
            kept = ("text", "finish_reason", "prompt_tokens", "completion_tokens", "seconds")
            item["response"] = {"key": one.asked.key, **{name: generation[name] for name in kept}}
        yield item
    examples = [row.example for row in every]
    yield {"key": f"{cell} scores", "cell": cell, "scores": _scores(lab, matrix, cell, plan, examples, texts)}
    fitted: dict[str, int] = {}
    for row in every:
        fitted[str(row.fitted.k)] = fitted.get(str(row.fitted.k), 0) + 1
    ended = {"seconds": time.perf_counter() - began, "fitted": fitted, "cached": cached}
    yield {"key": f"{cell} ended", "cell": cell, "ended": ended}


def _scores(
    lab: LabContext, matrix: int, cell: int, plan: Plan, examples: Sequence[Any], texts: dict[int, str]
) -> list[dict[str, Any]]:
    from genai_lab.services.predictions.scoring import fields, measure

    predictions = [texts[example.key] for example in examples]
    made = []
    for choice in plan.metrics:
        measured = measure(lab, Choice(choice.metric, choice.settings), predictions, examples, plan.sample_seed)
        made += list(fields(measured, matrix, cell, choice))
    return made


HANDLERS.register(Matrix.name)(Matrix())
