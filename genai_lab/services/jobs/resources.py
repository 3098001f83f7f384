"""What jobs occupy: "cpu", "gpu", "network", or "device", which is the GPU where the lab computes on one.

Small jobs, such as an import, have a place of their own ("side") and so pass long ones.
"""

import os
from pathlib import Path
from typing import Any

from genai_lab.config import Config

NETWORK = 4


def gpus() -> tuple[str, ...]:
    """The NVIDIA devices that this process may use, as CUDA_VISIBLE_DEVICES names them; torch is not imported."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(part.strip() for part in allowed.split(",") if part.strip() not in ("", "-1"))
    return tuple(str(number) for number, _ in enumerate(sorted(Path("/dev").glob("nvidia[0-9]*"))))


def resolved(resource: str, device: str, found: tuple[str, ...]) -> str:
    if resource != "device":
        return resource
    return "gpu" if device in ("cuda", "mps") or (device == "auto" and found) else "cpu"


def place_of(kind: Any, device: str, found: tuple[str, ...]) -> str:
    """What a job of the kind occupies."""
    return "side" if getattr(kind, "small", False) else resolved(kind.resource, device, found)


def gpus_of(kind: Any, settings: dict[str, Any]) -> int:
    """How many a job of the kind asks for."""
    return int(kind.gpus(settings)) if hasattr(kind, "gpus") else 1


def slots(resource: str, config: Config, found: tuple[str, ...]) -> int:
    """How many jobs may occupy it at once: one a GPU, as many on the CPU as the configuration says, one on the side."""
    return {"cpu": config.cpu_jobs, "gpu": max(1, len(found)), "network": NETWORK}.get(resource, 1)
