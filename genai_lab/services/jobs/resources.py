"""What a job occupies: "cpu", "gpu", "network", or "device", which is the GPU where the lab computes on one.

Small jobs, such as an import, have a slot of their own ("side") and so pass long ones.
"""

from typing import Any

from genai_lab.services.jobs.executors import Resources
from genai_lab.services.jobs.handlers import JobHandler


def resource_of(handler: JobHandler, device: str, available: Resources) -> str:
    """What a job of the kind occupies."""
    return "side" if getattr(handler, "small", False) else available.resolved(handler.resource, device)


def gpus_of(handler: JobHandler, settings: dict[str, Any]) -> int:
    """How many GPUs a job of the kind asks for."""
    return int(handler.gpus(settings)) if hasattr(handler, "gpus") else 1
