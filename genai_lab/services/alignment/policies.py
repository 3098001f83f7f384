"""Runs in which a policy learns from its own completions, and how far each is."""

from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.context import LabContext
from genai_lab.services import training
from genai_lab.services.training import TrainingView
from genai_lab.views import View
from storage import jobs as queries

LATEST = 200  # runs among which policies are looked for


@dataclass(frozen=True)
class PolicyProgress(View):
    """The newest figures of a run: score, KL in nats per completion, share of completions that end."""

    score: float | None = None
    kl: float | None = None
    ended: float | None = None


def find(lab: LabContext) -> list[TrainingView]:
    """The runs, newest first."""
    return [view for view in training.find(lab, limit=LATEST) if view.rolls_out]


def progress(lab: LabContext, views: Sequence[TrainingView]) -> dict[int, PolicyProgress]:
    """The newest figures of each run, by its id."""
    jobs = {view.id: view.job.id for view in views if view.job is not None}
    with lab.database.reading() as session:
        curves = [queries.last_values(session, list(jobs.values()), name) for name in ("score", "KL", "ended")]
    newest = {run: [points.get(job, (0, None))[1] for points in curves] for run, job in jobs.items()}
    return {view.id: PolicyProgress(*newest.get(view.id, ())) for view in views}
