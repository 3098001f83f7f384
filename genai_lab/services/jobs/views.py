"""One job as pages and commands show it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from genai_lab.models.checks import size_text
from genai_lab.views import Linked, View
from storage import jobs as queries
from storage.tables import Job

STATUSES = ("queued", "running", "finished", "cancelled", "failed")
LIVE = queries.LIVE
HOW_ENDED = {"out of memory": "memory ran out", "killed": "its worker was killed"}


@dataclass(frozen=True)
class JobView(View, Linked):
    """One job, ready to be shown. `done` of `total` in the body's own units; times in seconds, memory in bytes.

    `waiting` says what a queued job waits for.
    """

    _computed = ("state",)
    id: int
    kind: str
    title: str
    settings: dict[str, Any]
    resource: str
    priority: int
    status: str
    exit_reason: str | None
    done: float
    total: float | None
    message: str
    error: str | None
    seconds: float | None
    seconds_left: float | None
    peak_memory: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    heartbeat_at: datetime | None
    attempt: int
    failed_attempts: list[dict[str, Any]] | None
    parent_id: int | None
    depends_on_id: int | None
    after: list[int] | None
    run_id: int | None
    cancel_requested: bool
    result: dict[str, Any] | None
    waiting: str = ""

    @property
    def address(self) -> str:
        return f"/jobs?job={self.id}"

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def state(self) -> str:
        """One or two words: the status, "cancelling" where its end has been asked for, or how it ended."""
        return "cancelling" if self.live and self.cancel_requested else self.exit_reason or self.status

    @property
    def attempts(self) -> str:
        """Which attempt this is, and how the ones before it ended; empty for a first one."""
        earlier = [
            attempt
            for attempt in self.failed_attempts or ()
            if attempt["attempt"] < self.attempt or self.status == "queued"
        ]
        if not earlier:
            return ""
        ends = [
            f"{HOW_ENDED.get(attempt['reason'], attempt['reason'])} in attempt {attempt['attempt']}"
            + (f" (peak {size_text(attempt['peak_memory'])})" if attempt["peak_memory"] else "")
            for attempt in earlier
        ]
        return f"attempt {max(self.attempt, earlier[-1]['attempt'] + 1)}: {', '.join(ends)}"

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; None where the body cannot tell."""
        if self.status == "finished":
            return 1.0
        return min(1.0, self.done / self.total) if self.total else None


def view_of(row: Job) -> JobView:
    now = datetime.now(UTC)
    seconds = ((row.ended_at or now) - row.started_at).total_seconds() if row.started_at else None
    values = {name: getattr(row, name) for name in JobView.__dataclass_fields__ if name not in ("seconds", "waiting")}
    return JobView(**values, seconds=seconds)
