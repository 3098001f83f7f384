"""What the supervisor asks of a place where workers run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Resources:
    """What jobs can occupy: devices by the names that a worker sees them under, and slots by kind of resource."""

    gpus: tuple[str, ...]
    cpu_slots: int
    network_slots: int

    def slots(self, resource: str) -> int:
        """How many jobs may occupy the resource at once; "side" takes one small job beside all others."""
        counts = {"cpu": self.cpu_slots, "gpu": max(1, len(self.gpus)), "network": self.network_slots}
        return counts.get(resource, 1)

    def resolved(self, resource: str, device: str) -> str:
        """The resource in place of "device", which is the GPU where the lab computes on one."""
        if resource != "device":
            return resource
        return "gpu" if device in ("cuda", "mps") or (device == "auto" and self.gpus) else "cpu"


@dataclass(frozen=True)
class WorkerName:
    """Names one worker for good: its process, when that began, and which attempt at the job it is."""

    pid: int
    started: int | None
    attempt: int


@dataclass(frozen=True)
class WorkerExit:
    """How a worker ended. `code` is None where another process had started it, which alone learns the code."""

    code: int | None
    out_of_memory: bool


class Executor(Protocol):
    """Runs workers. A job's folder stands for its worker, so that a supervisor that comes later finds it again.

    A job never has two workers: `start` refuses while one lives, whichever process started that one.
    """

    def start(self, folder: Path, order: Mapping[str, Any], environment: Mapping[str, str]) -> WorkerName | None:
        """Starts a worker that outlives this process; None where one lives already. Raises OSError."""

    def alive(self, folder: Path) -> bool:
        """Whether the job's worker lives."""

    def stop(self, folder: Path, force: bool) -> None:
        """Asks the worker and all its processes to end, or ends them."""

    def wait(self, folder: Path) -> WorkerExit:
        """Ends what a dead worker has left behind and returns how the worker ended."""

    def resources(self) -> Resources:
        """What its workers can occupy together."""
