"""Completions of one prompt."""

from collections.abc import Sequence
from typing import Any

from genai_lab.context import LabContext
from genai_lab.services.runs.registry import RunKind, RunSummary, register
from storage.tables import Run


def _address(run: RunSummary) -> str:
    return f"/?run={run.id}"


def _replay(lab: LabContext, run_id: int) -> int:
    from genai_lab.services import generation

    live = generation.replay(lab, run_id)
    live.wait()
    return live.run_id


def _export(lab: LabContext, run_ids: Sequence[int]) -> str:
    from genai_lab.services import history

    return history.to_jsonl(lab, run_ids)


def _lineage(run: Run) -> dict[str, Any]:
    return {"prompt": run.settings.get("prompt"), "sampling": run.settings.get("sampling")}


register(RunKind("generate", "Completion", _address, _replay, _export, _lineage))
