"""How far runs are, live and after their end: steps, losses, speed; and starts that are still being checked."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from genai_lab.context import LabContext
from genai_lab.services import jobs
from genai_lab.services.training import TrainingView
from genai_lab.training import TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.views import View
from storage import jobs as queries

SPEED = "tokens per second"


@dataclass(frozen=True)
class RunProgress(View):
    """Where a run is or ended. `last` and `best` are of the figure by which its best checkpoint is chosen, mostly the
    validation loss, `best_step` where the best was measured; `speed` in tokens per second; None for what has not been
    measured yet.
    """

    step: int | None = None
    steps: int | None = None
    last: float | None = None
    best: float | None = None
    best_step: int | None = None
    speed: float | None = None
    seconds: float | None = None


def standings(lab: LabContext, views: Sequence[TrainingView]) -> dict[int, RunProgress]:
    """The standing of each run, by its id."""
    jobs_by_figure: dict[tuple[str, bool], list[int]] = {}
    for view in views:
        if view.job is not None:
            jobs_by_figure.setdefault((view.best_figure, view.greater_is_better), []).append(view.job.id)
    figures: dict[int, tuple[queries.MetricPoint, queries.MetricPoint]] = {}
    with lab.database.reading() as session:
        for (name, highest), ids in jobs_by_figure.items():
            figures |= queries.extremes(session, ids, name, highest=highest)
        speeds = queries.last_values(session, [job for ids in jobs_by_figure.values() for job in ids], SPEED)
    return {view.id: _standing(view, figures, speeds) for view in views}


def _standing(
    view: TrainingView,
    figures: dict[int, tuple[queries.MetricPoint, queries.MetricPoint]],
    speeds: dict[int, queries.MetricPoint],
) -> RunProgress:
    job, out = view.job, view.outcome
    if job is None:
        return RunProgress()
    last, best = figures.get(job.id, ((None, None), (None, None)))
    steps = int(job.total) if job.total else None
    step = int(job.done) if job.total else None
    speed = out["tokens"] / out["seconds"] if out.get("tokens") and out.get("seconds") else None
    return RunProgress(
        step=out.get("steps", step),
        steps=steps,
        last=last[1],
        best=out["best_loss"] if out.get("best_loss") is not None else best[1],
        best_step=best[0],
        speed=speed or speeds.get(job.id, (0, None))[1],
        seconds=out.get("seconds") or job.seconds,
    )


def best_checkpoint(lab: LabContext, view: TrainingView) -> int | None:
    """The step of the checkpoint that a cancelled or failed run can be kept from, or None."""
    from genai_lab.training.lab_trainer import step_of
    from genai_lab.training.training_loop import best_checkpoint as best_of

    if view.job is None or view.status not in ("cancelled", "failed"):
        return None
    checkpoint = best_of(jobs.folder(lab, view.job.id) / "out")
    return step_of(checkpoint) if checkpoint is not None else None


@dataclass(frozen=True)
class Starting(View):
    """A run whose plan is being checked; it has no number yet."""

    title: str
    base: str
    method: str


_NUMBERS = itertools.count()
_STARTING: dict[tuple[str, int], Starting] = {}
_LOCK = threading.Lock()


@contextmanager
def starting(lab: LabContext, plan: TrainingPlan, title: str) -> Iterator[None]:
    """While the block runs, the plan is listed as a run that is being checked."""
    key = (str(lab.config.home), next(_NUMBERS))
    start = Starting(title.strip() or f"{plan.model}-{plan.method}", plan.model, METHODS.get(plan.method).title)
    with _LOCK:
        _STARTING[key] = start
    try:
        yield
    finally:
        with _LOCK:
            _STARTING.pop(key, None)


def find_starting(lab: LabContext) -> list[Starting]:
    """Starts whose plan is being checked, the newest first."""
    with _LOCK:
        return [start for (home, _), start in reversed(_STARTING.items()) if home == str(lab.config.home)]
