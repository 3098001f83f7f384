"""The job "matrix": cell after cell, every completion a record, each cell's scores when its rows are done.

A cell that cannot be answered, since its model does not load, fails alone.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import packing
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from genai_lab.services.matrix import MATRIX, MatrixPlan
from storage import evaluation as queries
from storage.tables import Job, Run

if TYPE_CHECKING:
    from genai_lab.data import Example
    from genai_lab.services.matrix.predicting import CellPlan, RowCompletion, RowPrompt


class MatrixHandler:
    name = MATRIX
    title = "Matrix"
    page = "/prompts"
    resource = "device"

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        plan = MatrixPlan.from_dict(settings["plan"])
        earlier: dict[int, dict[tuple[int, int], dict[str, Any]]] = {}
        ended, failed = set(), {}
        for item in report.earlier():
            if "generation" in item:
                generation = queries.with_key(item["generation"])
                key = generation["example"], generation["sample_index"]
                earlier.setdefault(item["cell"], {})[key] = generation
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
                        total = len(settings["cells"])
                        message = f"cell {number + 1} of {total}, completion {item['number']} of {item['of']}"
                        report.progress(number + share, total, message)
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
    lab: LabContext,
    matrix: int,
    cell: int,
    plan: MatrixPlan,
    earlier: dict[tuple[int, int], dict[str, Any]],
    counts: dict[str, int],
) -> Iterator[dict[str, Any]]:
    """Everything that a cell finds out: its completions, then its scores, then its end.

    `earlier` holds the completions of an attempt before, by row and sample.
    """
    from genai_lab.services.matrix.predicting import completions, row_prompts

    start = time.perf_counter()
    cell_plan = _cell_plan(lab, cell)
    prompts = row_prompts(lab, cell_plan)
    texts = {key: "" if row["detail"]["error"] else row["text"] for key, row in earlier.items()}
    missing = [row for row in prompts if row.id not in earlier]
    counts["requests"] += len(missing)
    cached = sum(row["detail"]["cached"] for row in earlier.values())
    done = len(prompts) - len(missing)
    for number, completion in enumerate(completions(lab, cell_plan, missing, plan.use_cache), done + 1):
        cached += completion.cached
        counts["cached"] += completion.cached
        counts["errors"] += completion.error is not None
        texts[completion.row.id] = "" if completion.error else completion.text
        yield _record(cell, completion) | {"number": number, "of": len(prompts)}
    by_row: dict[int, list[RowPrompt]] = {}
    for row in prompts:
        by_row.setdefault(row.index, []).append(row)
    predictions = [[texts[row.id] for row in rows] for rows in by_row.values()]
    examples = [rows[0].example for rows in by_row.values()]
    yield {"key": f"{cell} scores", "cell": cell, "scores": _scores(lab, matrix, cell, plan, examples, predictions)}
    fitted = Counter(str(rows[0].fitted.k) for rows in by_row.values())
    ended = {"seconds": time.perf_counter() - start, "fitted": dict(fitted), "cached": cached}
    yield {"key": f"{cell} ended", "cell": cell, "ended": ended}


def _cell_plan(lab: LabContext, cell: int) -> "CellPlan":
    from genai_lab.services.matrix.predicting import CellPlan

    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, cell)
    assert run is not None
    template = next(row.template_version for row in run.inputs if row.template_version_id)
    version_id = next(row.dataset_version_id for row in run.inputs if row.dataset_version_id) or 0
    template_name = f"{template.template.name}@{template.number}"
    return CellPlan(run.model_input.model.name, template_name, version_id, run.settings, run.seed, run.dtype)


def _record(cell: int, completion: "RowCompletion") -> dict[str, Any]:
    row = completion.row
    generation = packing.storable(
        {
            "example": row.example.key,
            "row_index": row.index,
            "sample_index": row.sample,
            "rendered_prompt": row.fitted.rendered.text,
            "text": completion.text,
            "finish_reason": completion.finish_reason,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "seconds": completion.seconds,
            "seed": row.sampling.seed or 0,
            "detail": {"shots": list(row.shots), "cached": completion.cached, "error": completion.error},
        }
    )
    # The first completion has the key that it had when it was the only one.
    number = f" {row.sample}" if row.sample else ""
    record = {"key": f"{cell} {row.example.key}{number}", "cell": cell, "generation": generation}
    if not completion.cached and completion.error is None:
        names = ("text", "finish_reason", "prompt_tokens", "completion_tokens", "seconds")
        record["response"] = {"key": row.key, **{name: generation[name] for name in names}}
    return record


def _scores(
    lab: LabContext,
    matrix: int,
    cell: int,
    plan: MatrixPlan,
    examples: "Sequence[Example]",
    predictions: Sequence[Sequence[str]],
) -> list[dict[str, Any]]:
    from genai_lab.services.predictions.scoring import fields, measure

    scores = []
    for choice in plan.metrics:
        measured = measure(lab, choice, predictions, examples, plan.sample_seed)
        scores += list(fields(measured, matrix, cell, choice))
    return scores


HANDLERS.register(MatrixHandler.name)(MatrixHandler())
