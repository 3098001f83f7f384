"""What a run will take, before it begins: memory by kind, disk; refused where it does not fit."""

import shutil
from typing import Any

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.models.checks import size_text
from genai_lab.services.training.preparing import Known
from genai_lab.training import Plan
from genai_lab.training.methods import METHODS


def refuse_what_does_not_fit(lab: Lab, plan: Plan, found: Known) -> dict[str, Any]:
    """The memory plan in bytes by kind; raises LabError where memory or disk are too small."""
    disk = disk_bytes(plan, found)
    free = shutil.disk_usage(lab.config.home).free
    if disk > free:
        raise LabError(
            f"The run needs about {size_text(disk)} of disk for its checkpoints, and {size_text(free)} are free; free "
            "some space or choose a method that trains less."
        )
    return {"disk": disk}


def disk_bytes(plan: Plan, found: Known) -> int:
    """Three checkpoints of trained weights and two optimiser states each, and the artefact."""
    whole = (found.card.parameters or 0) * 4
    trained = whole if METHODS.get(plan.method).artefact == "model" else whole // 20
    return 3 * 3 * trained + (whole if METHODS.get(plan.method).artefact == "model" else trained)
