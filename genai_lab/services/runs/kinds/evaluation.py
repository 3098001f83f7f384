"""Matrices, the predictions that they consist of, and evaluations."""

from typing import Any

from genai_lab.context import LabContext
from genai_lab.services.runs.registry import RunKind, RunSummary, register
from storage.tables import Run


def _matrix_address(run: RunSummary) -> str:
    return f"/prompts?matrix={run.id}"


def _predictions_address(run: RunSummary) -> str:
    return f"/prompts?matrix={run.parent}&cell={run.id}" if run.parent else "/evaluate"


def _evaluation_address(run: RunSummary) -> str:
    return f"/evaluate?evaluation={run.id}"


def _rerun_matrix(lab: LabContext, run_id: int) -> int:
    from genai_lab.services import matrix

    return matrix.rerun(lab, run_id).run_id


def _repeat_evaluation(lab: LabContext, run_id: int) -> int:
    from genai_lab.services import evaluation

    view = evaluation.show(lab, run_id)
    systems = [system.id for system in view.systems]
    return evaluation.start(lab, systems, view.choices, baseline=view.baseline, seed=view.seed, title=view.title).run_id


def _matrix_lineage(run: Run) -> dict[str, Any]:
    return {"plan": run.settings.get("plan")}


def _evaluation_lineage(run: Run) -> dict[str, Any]:
    return {"metrics": run.settings.get("metrics", [])}


register(RunKind("matrix", "Matrix", _matrix_address, _rerun_matrix, lineage=_matrix_lineage))
register(RunKind("predict", "Predictions", _predictions_address))
register(RunKind("evaluate", "Evaluation", _evaluation_address, _repeat_evaluation, lineage=_evaluation_lineage))
