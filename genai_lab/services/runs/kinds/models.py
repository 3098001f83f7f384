"""Models that were made from a file in another format."""

from typing import Any
from urllib.parse import quote

from genai_lab.services.runs.registry import RunKind, RunSummary, register
from storage.tables import Run


def _address(run: RunSummary) -> str:
    return f"/models?model={quote(run.output or run.model.partition(', ')[0])}"


def _lineage(run: Run) -> dict[str, Any]:
    """The file and what was lost in it."""
    return {key: run.settings.get(key) for key in ("file", "sha256", "quantisation")}


register(RunKind("convert", "GGUF import", _address, lineage=_lineage))
