"""What a matrix will cost before it runs: prompts counted on a few rows, speeds recorded or measured on them.

`estimate` does it all and may take minutes, since it loads models; an `Estimating` tells the number of requests at
once and the rest as it comes, from a thread that can be stopped.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models
from genai_lab.services.datasets import VersionView
from genai_lab.services.matrix.matrices import check_plan
from genai_lab.services.matrix.plan import Cell, MatrixPlan, cell_settings
from genai_lab.services.matrix.predicting import CellPlan, RowPrompt, completions, row_prompts
from genai_lab.views import View
from storage import matrix as queries

log = logging.getLogger(__name__)
PROBED = 8
STOPPED = "stopped before the time was known"


@dataclass(frozen=True)
class MatrixEstimate(View):
    """`prompt_tokens` are exact on a few rows and scaled up; `completion_tokens` what models wrote before or in the
    probe. `minutes` is None where the speed of a model is not known; `source` says where speeds come from, `pending`
    what is still being found out.
    """

    cells: int
    rows: int
    requests: int
    prompt_tokens: int | None
    completion_tokens: int
    minutes: float | None
    source: str
    fewer: tuple[str, ...]
    pending: str = ""
    completions_per_row: int = 1

    @property
    def sentence(self) -> str:
        """One line for a person."""
        cells = f"{self.cells} cell{'s' if self.cells != 1 else ''}"
        per_row = f" x {self.completions_per_row} completions" if self.completions_per_row > 1 else ""
        requests = f"{cells} x {self.rows:,} rows{per_row} = {self.requests:,} requests"
        if self.pending:
            read = f", about {self.prompt_tokens:,} tokens to read" if self.prompt_tokens is not None else ""
            return f"{requests}{read}; {self.pending}."
        tokens = f"{self.prompt_tokens + self.completion_tokens:,}" if self.prompt_tokens is not None else "unknown"
        return f"{requests}, about {tokens} tokens, {minutes_text(self.minutes)} on this machine ({self.source})."


@dataclass(frozen=True)
class _Pace:
    """Seconds a token of a model, and how many tokens it writes a row; None where it is not known."""

    seconds: float | None
    written: float
    probed: bool


def minutes_text(minutes: float | None) -> str:
    if minutes is None:
        return "time unknown"
    return f"about {minutes * 60:.0f} s" if minutes < 2 else f"about {minutes:.0f} minutes"


class Estimating:
    """An estimate under way. `latest` has the number of requests from the beginning; raises LabError as `estimate`.

    `wait` comes back with the latest figures when there are new ones, or after the given seconds.
    """

    def __init__(self, lab: LabContext, plan: MatrixPlan) -> None:
        cells, version = check_plan(lab, plan)
        self.latest = _counted(plan, cells, version)
        self.problem: LabError | None = None
        self._news, self._stopped, self._done = threading.Event(), threading.Event(), threading.Event()
        threading.Thread(target=self._work, args=(lab, plan), name="estimate", daemon=True).start()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def stop(self) -> None:
        """Ends it with what is known; texts that a model is writing for it are cancelled."""
        self._stopped.set()
        if not self.done:
            self.latest = replace(self.latest, pending=STOPPED)
        self._done.set()
        self._news.set()

    def wait(self, seconds: float) -> MatrixEstimate:
        self._news.wait(seconds)
        self._news.clear()
        return self.latest

    def _work(self, lab: LabContext, plan: MatrixPlan) -> None:
        try:
            self._tell(estimate(lab, plan, self._tell, self._stopped))
        except _Stopped:
            pass
        except LabError as problem:
            self.problem = problem
        except Exception:
            log.exception("an estimate failed")
            self.problem = LabError("The estimate failed; the app's log holds the details.")
        self._done.set()
        self._news.set()

    def _tell(self, latest: MatrixEstimate) -> None:
        if not self._stopped.is_set():
            self.latest = latest
            self._news.set()


class _Stopped(Exception):
    """Nobody waits for the estimate any more."""


def estimate(
    lab: LabContext,
    plan: MatrixPlan,
    tell: Callable[[MatrixEstimate], None] | None = None,
    stopped: threading.Event | None = None,
) -> MatrixEstimate:
    """Raises LabError where the matrix could not start. Models without recorded speed are tried on a few rows.

    `tell` gets what is known on the way; once `stopped` is set, it ends with an exception of its own.
    """
    tell, stopped = tell or (lambda _: None), stopped or threading.Event()
    cells, version = check_plan(lab, plan)
    counts = _counted(plan, cells, version)
    prompts: dict[tuple[str, str, int], list[RowPrompt]] = {}
    for cell in cells:
        key = (cell.model, cell.template, cell.k)
        if key not in prompts:
            _end_where(stopped)
            tell(replace(counts, pending=f"counting tokens with {cell.model}"))
            prompts[key] = row_prompts(lab, _probe_plan(plan, cell, version))
    paces = {}
    for name in plan.models:
        _end_where(stopped)
        tell(replace(_summed(plan, cells, version, prompts, {}), pending=f"timing {name} on {PROBED} rows"))
        paces[name] = _pace(lab, plan, cells, version, prompts, name, stopped)
    return _summed(plan, cells, version, prompts, paces)


def _end_where(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise _Stopped


def _counted(plan: MatrixPlan, cells: Sequence[Cell], version: VersionView) -> MatrixEstimate:
    """Without a look at any model."""
    rows, pending = min(plan.rows, version.splits[plan.split]), "counting tokens"
    requests = len(cells) * rows * plan.num_return_sequences
    return MatrixEstimate(
        len(cells), rows, requests, None, 0, None, "not known yet", (), pending, plan.num_return_sequences
    )


def _summed(
    plan: MatrixPlan,
    cells: Sequence[Cell],
    version: VersionView,
    prompts: dict[tuple[str, str, int], list[RowPrompt]],
    paces: dict[str, "_Pace"],
) -> MatrixEstimate:
    """All cells together; the time is None where `paces` lacks a model."""
    rows, k = min(plan.rows, version.splits[plan.split]), plan.num_return_sequences
    read, written, seconds, counted = 0.0, 0.0, 0.0, True
    for cell in cells:
        sizes = [row.fitted.tokens for row in prompts[cell.model, cell.template, cell.k]]
        counted = counted and None not in sizes
        mean = sum(size or 0 for size in sizes) / len(sizes)
        pace = paces.get(cell.model) or _Pace(None, 0.0, probed=False)
        length = min(pace.written or cell.sampling.max_new_tokens, cell.sampling.max_new_tokens)
        read, written = read + k * rows * mean, written + k * rows * length
        seconds += k * rows * (mean + length) * (pace.seconds or 0.0)
    timed = bool(paces) and all(pace.seconds is not None for pace in paces.values())
    return MatrixEstimate(
        cells=len(cells),
        rows=rows,
        requests=len(cells) * rows * k,
        completions_per_row=k,
        prompt_tokens=round(read) if counted else None,
        completion_tokens=round(written),
        minutes=seconds / 60 if timed else None,
        source=_source(paces),
        fewer=tuple(_fewer(prompts)),
    )


def _probe_plan(plan: MatrixPlan, cell: Cell, version: VersionView) -> CellPlan:
    settings = cell_settings(cell, plan) | {"rows": min(PROBED, plan.rows), "completions_per_row": 1}
    return CellPlan(cell.model, cell.template, version.id, settings, cell.seed)


def _pace(
    lab: LabContext,
    plan: MatrixPlan,
    cells: Sequence[Cell],
    version: VersionView,
    prompts: dict[tuple[str, str, int], list[RowPrompt]],
    name: str,
    stopped: threading.Event,
) -> _Pace:
    view = models.show(lab, name)
    with lab.database.reading() as session:
        speed = queries.speed(session, view.id, view.card.content_hash)
    if speed is not None and speed.prompt_tokens + speed.completion_tokens:
        tokens = speed.prompt_tokens + speed.completion_tokens
        return _Pace(speed.seconds / tokens, speed.completion_tokens / speed.rows, probed=False)
    if view.card.family == "endpoint":
        return _Pace(None, 0.0, probed=False)
    cell = max((item for item in cells if item.model == name), key=lambda item: item.k)
    began = time.perf_counter()
    probes = []
    for item in completions(
        lab, _probe_plan(plan, cell, version), prompts[name, cell.template, cell.k], use_cache=False
    ):
        _end_where(stopped)
        probes.append(item)
    seconds = time.perf_counter() - began
    problem = next((item.error for item in probes if item.error), None)
    if problem:
        raise LabError(problem)
    tokens = sum(item.prompt_tokens + item.completion_tokens for item in probes)
    return _Pace(seconds / max(1, tokens), sum(item.completion_tokens for item in probes) / len(probes), probed=True)


def _source(paces: dict[str, _Pace]) -> str:
    probed = [name for name, pace in paces.items() if pace.probed]
    unknown = [name for name, pace in paces.items() if pace.seconds is None]
    if unknown:
        return f"no speed is known of {', '.join(unknown)}"
    if len(probed) == len(paces):
        return f"measured now on {PROBED} rows"
    if probed:
        return f"from earlier runs, {', '.join(probed)} measured now on {PROBED} rows"
    return "from the speed of earlier runs"


def _fewer(prompts: dict[tuple[str, str, int], list[RowPrompt]]) -> list[str]:
    """Where the context does not hold all shots of all rows tried."""
    notes = []
    for (model, template, k), rows in prompts.items():
        least = min(row.fitted.k for row in rows)
        if least < k:
            notes.append(f"{least} of {k} shots fit the context of {model} with {template}")
    return notes
