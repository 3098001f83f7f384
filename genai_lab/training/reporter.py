"""What a run reports while it works."""

from typing import Any, Protocol


class Reporter(Protocol):
    """Takes progress, curves and records; the worker's report is one."""

    def progress(self, done: float, total: float | None = None, message: str = "") -> None: ...

    def metric(self, name: str, step: int, value: float) -> None: ...

    def record(self, item: dict[str, Any]) -> None: ...
