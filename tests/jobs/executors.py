"""An executor for tests: its workers exist only as entries in a dictionary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genai_lab.files import write_json
from genai_lab.services.jobs import job_files
from genai_lab.services.jobs.executors import Resources, WorkerExit, WorkerName


class MemoryExecutor:
    """`orders` holds what was started, by the job's folder; a worker lives until `finish` or `kill` is called."""

    def __init__(self, gpus: tuple[str, ...] = (), cpu_slots: int = 1) -> None:
        self.orders: dict[Path, Mapping[str, Any]] = {}
        self.living: set[Path] = set()
        self.stops: list[tuple[Path, bool]] = []
        self._resources = Resources(gpus, cpu_slots, network_slots=1)

    def start(self, folder: Path, order: Mapping[str, Any], environment: Mapping[str, str]) -> WorkerName | None:
        if folder in self.living:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / job_files.ORDER, dict(order))
        self.orders[folder] = order
        self.living.add(folder)
        return WorkerName(1, 1, order["attempt"])

    def finish(self, folder: Path, result: dict[str, Any]) -> None:
        """The worker ends by itself, as one that has done its job."""
        attempt = self.orders[folder]["attempt"]
        content = {"status": "finished", "reason": "finished", "result": result, "attempt": attempt}
        write_json(folder / job_files.EXIT, content)
        self.living.discard(folder)

    def alive(self, folder: Path) -> bool:
        return folder in self.living

    def stop(self, folder: Path, force: bool) -> None:
        self.stops.append((folder, force))
        self.living.discard(folder)

    def wait(self, folder: Path) -> WorkerExit:
        return WorkerExit(code=None, out_of_memory=False)

    def resources(self) -> Resources:
        return self._resources
