"""What the lab knows of each kind of run: its title, its page, and how it is replayed, exported and walked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.registry import Registry
from storage.tables import Run


class RunSummary(Protocol):
    """What the address of a run depends on; `output` names what it made where that has a page of its own."""

    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def output(self) -> str: ...
    @property
    def parent(self) -> int | None: ...


@dataclass(frozen=True)
class RunKind:
    """One kind of run.

    `address` returns the page of a run. `replay` starts the run again and returns the new run's id. `export` returns
    the results of runs as JSON Lines. `lineage` returns what the walk back shows of a run beside seed, code and status.
    A kind without `replay` or `export` has None there.
    """

    name: str
    title: str
    address: Callable[[RunSummary], str]
    replay: Callable[[LabContext, int], int] | None = None
    export: Callable[[LabContext, Sequence[int]], str] | None = None
    lineage: Callable[[Run], dict[str, Any]] = lambda run: {}


RUN_KINDS: Registry[RunKind] = Registry("kind of run", "genai_lab.services.runs.kinds")


def register(kind: RunKind) -> None:
    RUN_KINDS.register(kind.name)(kind)


def titles() -> dict[str, str]:
    """The title of each kind, by its name."""
    return {name: RUN_KINDS.get(name).title for name in RUN_KINDS}


def address_of(run: RunSummary) -> str:
    """The page that shows the run; runs of a plugin that is not loaded are found among the jobs."""
    return RUN_KINDS.get(run.kind).address(run) if run.kind in RUN_KINDS else "/jobs"


def replay(lab: LabContext, run_id: int) -> int:
    """Starts the run again with the same inputs, settings and seed; returns the new run's id. Raises LabError."""
    with lab.database.reading() as session:
        run = session.get(Run, run_id)
    if run is None:
        raise LabError(f"There is no run {run_id}; the history lists the existing ones.")
    kind = RUN_KINDS.get(run.kind)
    if kind.replay is None:
        replayable = ", ".join(RUN_KINDS.get(name).title.lower() for name in RUN_KINDS if RUN_KINDS.get(name).replay)
        raise LabError(f"A run of the kind {kind.title.lower()} cannot be replayed; these can: {replayable}.")
    return kind.replay(lab, run_id)
