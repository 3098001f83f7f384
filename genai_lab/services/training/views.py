"""A fine-tuning run as pages and the command line read it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from genai_lab.services import jobs
from genai_lab.training import TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.views import View
from storage.tables import Run, RunInput


@dataclass(frozen=True)
class TrainingView(View):
    """One run. `outcome` is what came of it (steps, best_step, best_loss, seconds, tokens, trained, parameters, peak
    in bytes), {} until it has ended; `predicted` is the memory plan in bytes by kind; `notes` tell what it met; `rate`
    is the learning rate, the default where the plan gives none; `scores` are what its completions were worth at each
    evaluation, as fields of `training.scoring.Score`, the base's first; `report` is how rewards did on held-out pairs
    (`reward_report`), {} for runs that do not learn from pairs.
    """

    id: int
    title: str
    tags: tuple[str, ...]
    plan: TrainingPlan
    model: str | None
    status: str
    error: str | None
    created_at: datetime
    seed: int
    job: jobs.JobView | None
    outcome: dict[str, Any]
    predicted: dict[str, Any]
    notes: tuple[str, ...]
    inputs: tuple[tuple[str, str, str], ...]
    code_revision: str
    dirty: bool
    parent: int | None
    report: dict[str, Any] = field(default_factory=dict)
    rate: float = 0.0
    scores: tuple[dict[str, Any], ...] = ()

    @property
    def measured(self) -> int | None:
        """The most memory so far, as `predicted` counts it: live on the CPU, on a GPU at the end; None before that."""
        process_memory = (self.predicted.get("memory") or {}).get("process")
        live = self.job.peak_memory if self.job is not None and process_memory else None
        return max(self.outcome.get("peak") or 0, live or 0) or None

    @property
    def state(self) -> str:
        """The status, or "cancelling" where its end has been asked for."""
        return "cancelling" if self.job is not None and self.job.state == "cancelling" else self.status

    @property
    def sentences(self) -> tuple[str, ...]:
        """How the completions compare with the base's: of the step that is kept, or of the last one so far."""
        step = self.outcome.get("step", self.outcome.get("best_step"))
        score = next((item for item in self.scores if item["step"] == step), self.scores[-1] if self.scores else None)
        if score is None:
            return ()
        spent = sum(item["seconds"] for item in self.scores)
        cost = f"Scoring {score['n']:,} completions at {len(self.scores)} evaluations took {spent:.1f} s."
        return tuple(filter(None, (score["words"], score["same"], cost)))

    @property
    def method(self) -> str:
        return METHODS.get(self.plan.method).title

    @property
    def mergeable(self) -> bool:
        """Whether its adapter can become part of the base's weights."""
        return METHODS.get(self.plan.method).mergeable

    @property
    def writes(self) -> bool:
        """Whether its model writes text."""
        return OBJECTIVES.get(self.plan.objective).writes

    @property
    def best_figure(self) -> str:
        """The curve by which its best checkpoint is chosen."""
        return f"validation {OBJECTIVES.get(self.plan.objective).best_figure}"

    @property
    def greater_is_better(self) -> bool:
        """Whether more of that figure is better."""
        return OBJECTIVES.get(self.plan.objective).greater_is_better

    @property
    def rolls_out(self) -> bool:
        """Whether it learns from completions of its own, which are kept."""
        return OBJECTIVES.get(self.plan.objective).rolls_out

    @property
    def makes_reward_model(self) -> bool:
        return OBJECTIVES.get(self.plan.objective).learns_reward

    @property
    def tunes_policy(self) -> bool:
        """Whether people are to prefer its model to the base."""
        return OBJECTIVES.get(self.plan.objective).learns_policy


def view_of(run: Run, model: str | None, job: jobs.JobView | None) -> TrainingView:
    result = (job.result if job else None) or {}
    plan = TrainingPlan.from_dict(run.settings["plan"])
    return TrainingView(
        id=run.id,
        title=run.title or model or f"run {run.id}",
        tags=tuple(run.tags or ()),
        plan=plan,
        model=model,
        status="queued" if job is not None and job.status == "queued" and run.status == "running" else run.status,
        error=run.error,
        created_at=run.created_at,
        seed=run.seed,
        job=job,
        outcome=result.get("outcome", {}),
        predicted=run.settings.get("predicted") or {},
        notes=tuple(result.get("notes", ())),
        inputs=tuple((item.role, _input_name(item), (item.content_hash or "")[:12]) for item in run.inputs),
        code_revision=run.code_revision,
        dirty=run.dirty,
        parent=run.parent_id,
        report=result.get("report", {}),
        rate=run.settings.get("rate") or plan.training.learning_rate or METHODS.get(plan.method).rate,
        scores=tuple(sorted(run.settings.get("scores", {}).values(), key=lambda one: one["step"])),
    )


def _input_name(item: RunInput) -> str:
    if item.model_id is not None:
        return item.model.name
    if item.dataset_version_id is not None:
        return f"{item.dataset_version.dataset.name}@{item.dataset_version.number}"
    return f"{item.template_version.template.name}@{item.template_version.number}"
