"""What policies wrote while they learned, and what that says of them."""

from typing import TYPE_CHECKING, Any

from genai_lab.alignment.frontier import PolicyPoint
from genai_lab.api.base import Table, name_of
from genai_lab.context import LabContext
from genai_lab.services import alignment
from genai_lab.services.alignment import hacking_card, playground, toxicity
from genai_lab.services.feedback import campaign_models
from genai_lab.services.training import TrainingView

if TYPE_CHECKING:
    from genai_lab.alignment.records import RolloutBatch
    from genai_lab.evaluation.statistics import Interval
    from genai_lab.services.alignment.hacking_card import CardView
    from genai_lab.services.alignment.playground import Choice, Playground
    from genai_lab.services.alignment.toxicity import ToxicityTable
    from genai_lab.services.evaluation import ModelsStarted
    from genai_lab.services.feedback.fresh import Begun


class Alignment:
    """Policies that learn from their own completions, by the ids of their runs."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def list(self) -> Table[TrainingView]:
        """Policy runs, newest first."""
        return Table(alignment.find(self.context), _run_summary)

    def rollouts(self, run: int, step: int | None = None) -> Table[dict[str, Any]]:
        """The completions that were learned from at a step, the last one without it: a row each."""
        steps = alignment.steps(self.context, run)
        chosen = step if step is not None else (steps[-1] if steps else 0)
        return Table(_rows(alignment.read(self.context, run, chosen)))

    def evaluations(self, run: int) -> Table[PolicyPoint]:
        """What each recorded checkpoint earns on the held-out prompts, and at what KL."""
        _, batches = playground.recorded(self.context, run)
        return Table(map(playground.point_of, batches), _point_summary)

    def sample_base(self, run: int, samples: int = playground.SAMPLES) -> int:
        """Queues the job that samples the base, which frontier and best of n need; returns the job."""
        return playground.start(self.context, run, samples)

    def playground(self, run: int) -> "Playground":
        """Checkpoints, the ideal frontier, best of n, and flags."""
        return playground.show(self.context, run)

    def choose(self, run: int, beta: float) -> "Choice":
        """The checkpoint that maximises score - beta KL."""
        return playground.choose(self.context, run, beta)

    def card(self, run: int, *, step: int | None = None, gold: str | None = None) -> "CardView":
        """The reward-hacking card of the last evaluation, or of that at a step."""
        return hacking_card.show(self.context, run, step, gold)

    def measure_toxicity(
        self, run: int, *, classifier: Any = toxicity.CLASSIFIER, completions: int = toxicity.COMPLETIONS,
        rows: int = toxicity.ROWS, seed: int = 0, task_metric: str = "rouge",
    ) -> "ModelsStarted":  # fmt: skip
        """Queues completions of base and policy, and the evaluation that `toxicity` reads."""
        return toxicity.start(
            self.context, run, classifier=name_of(classifier), completions=completions, rows=rows, seed=seed,
            task_metric=task_metric,
        )  # fmt: skip

    def toxicity(self, run: int, evaluation: int | None = None) -> "ToxicityTable":
        """The newest table before and after the run."""
        return toxicity.show(self.context, run, evaluation)

    def blind_campaign(self, run: int, *, rows: int = 50, overlap: int = 2, seed: int = 0) -> "Begun":
        """A campaign in which people compare policy and base without knowing which is which."""
        return campaign_models.before_and_after(self.context, run, rows=rows, overlap=overlap, seed=seed)


def _run_summary(view: TrainingView) -> dict[str, Any]:
    return {"run": view.id, "status": view.status, "objective": view.plan.objective, "base": view.plan.model,
            "model": view.model or "", "title": view.title}  # fmt: skip


def _rows(batch: "RolloutBatch") -> list[dict[str, Any]]:
    return [
        {
            "step": batch.step, "prompt": prompt, "completion": text, "score": float(batch.scores[row]),
            **{label: float(batch.parts[row, column]) for column, label in enumerate(batch.labels)},
            "kl": float(batch.kl[row]), "tokens": int(batch.lengths[row]), "ended": bool(batch.ended[row]),
        }
        for row, (prompt, text) in enumerate(zip(batch.prompts, batch.texts, strict=True))
    ]  # fmt: skip


def _point_summary(point: PolicyPoint) -> dict[str, Any]:
    return {
        "step": point.step, "score": interval_text(point.score), "KL": interval_text(point.kl),
        **{label: interval_text(part) for label, part in point.parts.items()}, "prompts": point.score.n,
    }  # fmt: skip


def interval_text(interval: "Interval") -> str:
    """As "1.20 (0.90 to 1.50)"; a dash where nothing defines it."""
    if interval.value is None:
        return "–"
    return f"{interval.value:.3g} ({interval.low:.3g} to {interval.high:.3g})"
