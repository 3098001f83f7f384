"""The bar that says which models are in memory, which are being read, and what the environment sets for all."""

from typing import Any

from genai_lab.context import LabContext
from genai_lab.services import models as service
from pages.components.stats import size_text


def draw_budget(lab: LabContext) -> dict[str, Any]:
    state = service.budget(lab)
    share = state.used_bytes / state.budget_bytes if state.budget_bytes else 0.0
    return {
        "used": size_text(state.used_bytes),
        "budget": size_text(state.budget_bytes),
        "percent": round(100 * share, 1),
        "loaded": " · ".join(f"{name} {size_text(model.memory_bytes)}" for name, model in state.loaded.items()),
        "loading": [_loading(name, progress) for name, progress in state.loading.items()],
        "note": f"{_placement(lab)}; the least recently used model is unloaded first; the whole process takes "
        f"{size_text(state.process_bytes)}",
    }


def _placement(lab: LabContext) -> str:
    """What the environment sets for all models."""
    fixed = {"device": lab.config.device, "dtype": lab.config.dtype}
    named = [f"{what} {value}" for what, value in fixed.items() if value != "auto"]
    return ", ".join(named) or "dtype and device by model"


def _loading(name: str, progress: service.LoadProgress | None) -> dict[str, Any]:
    """A model that is being read, for the memory bar."""
    if progress is None:
        return {"name": name, "text": "getting ready", "percent": 0}
    percent, amount = round(100 * progress.share), f"{progress.done:,} of {progress.total:,} tensors"
    if progress.unit == "bytes":
        amount = f"{size_text(progress.done)} of {size_text(progress.total)}"
    return {"name": name, "text": f"{percent} %, {amount}", "percent": percent}
