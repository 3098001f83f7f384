"""Fine-tuning runs, merged adapters, and studies of several runs."""

from typing import Any
from urllib.parse import quote

from genai_lab.context import LabContext
from genai_lab.services.runs.registry import RunKind, RunSummary, register
from storage.tables import Run


def _training_address(run: RunSummary) -> str:
    return f"/finetune?run={run.id}"


def _study_address(run: RunSummary) -> str:
    return f"/finetune?study={run.id}"


def _merge_address(run: RunSummary) -> str:
    return f"/models?model={quote(run.output or run.model.partition(', ')[0])}"


def _train_again(lab: LabContext, run_id: int) -> int:
    """The same plan under a free name, since the model of the first run keeps its own."""
    from genai_lab.services import training

    return training.start(lab, training.show(lab, run_id).plan).run_id


def _training_lineage(run: Run) -> dict[str, Any]:
    plan = run.settings.get("plan") or {}  # plugins may make models in runs without a plan
    return {"objective": plan.get("objective"), "method": plan.get("method")}


register(RunKind("train", "Training", _training_address, _train_again, lineage=_training_lineage))
register(RunKind("merge", "Merge", _merge_address))
register(RunKind("study", "Study", _study_address))
