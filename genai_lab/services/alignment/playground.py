"""The KL playground: what each recorded checkpoint of a policy earns at what KL, beside what the base could reach."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genai_lab.alignment import frontier
from genai_lab.alignment.frontier import BestOfPoint, Flag, FrontierPoint, PolicyPoint
from genai_lab.alignment.records import EVALUATIONS, RolloutBatch
from genai_lab.context import LabContext
from genai_lab.errors import BadSetting, LabError
from genai_lab.evaluation.sample import Sample
from genai_lab.evaluation.statistics import Interval, interval
from genai_lab.services import jobs, training
from genai_lab.services.alignment.rollouts import evaluations, read, steps
from genai_lab.services.training import TrainingView
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.views import View

BASE_SAMPLES = "base_samples"
SAMPLES, MOST_SAMPLES = 24, 256
SIBLINGS = 100  # latest runs among which those of other betas are looked for
EXAMPLES = 6


@dataclass(frozen=True)
class Sibling(View):
    """A run with the same base, data and rewards that was trained at another weight of the KL: its last evaluation."""

    run: int
    title: str
    beta: float
    point: PolicyPoint


@dataclass(frozen=True)
class Playground(View):
    """A run's evaluations on its held-out prompts. `gold` names the part that is the truth, "" without one; `beta` is
    what the run was trained at; `switches` are the weights at which the slider's choice changes. The frontier and the
    best of n are empty until the base has been sampled, `samples` times a prompt.
    """

    run: int
    title: str
    beta: float
    gold: str
    points: tuple[PolicyPoint, ...]
    switches: tuple[float, ...]
    siblings: tuple[Sibling, ...]
    samples: int
    frontier: tuple[FrontierPoint, ...]
    best_of: tuple[BestOfPoint, ...]
    flags: tuple[Flag, ...]

    @property
    def last_beta(self) -> float:
        """The largest weight that a slider needs: a little above the last switch."""
        return max((1.25 * max(self.switches, default=0.0)), 4 * self.beta, 0.1)


@dataclass(frozen=True)
class Choice(View):
    """The checkpoint that a KL weight chooses: its figures, and completions beside the base's of the same prompts."""

    beta: float
    point: PolicyPoint
    base: PolicyPoint
    examples: tuple[tuple[str, str, str], ...]

    @property
    def sentence(self) -> str:
        """What it earns and what that costs, in plain words."""
        score, kl = self.point.score.value or 0.0, self.point.kl.value or 0.0
        gain = score - (self.base.score.value or 0.0)
        if self.point.step == 0:
            return f"At a KL weight of {self.beta:.3g} no checkpoint is worth its KL: the base stays."
        return (
            f"At a KL weight of {self.beta:.3g} the checkpoint of step {self.point.step:,} is chosen: score "
            f"{score:.2f}, which is {gain:+.2f} to the base, at {kl:.2f} nats per completion. The penalty is "
            f"{self.beta * kl:.2f}, so that {score - self.beta * kl:.2f} is left."
        )


def show(lab: LabContext, run_id: int) -> Playground:
    """Raises LabError for a run that keeps no evaluations, or has none yet."""
    view, batches = recorded(lab, run_id)
    points = tuple(point_of(batch) for batch in batches)
    scores, kls = _means(points)
    gold = gold_of(view)
    samples = base_samples(lab, run_id)
    curves: tuple[Any, ...] = ((), (), ())
    count = 0
    if samples is not None:
        by_prompt, truth = scores_by_prompt(samples, gold)
        count = by_prompt.shape[1]
        policies = [(batch.step, batch.scores, batch.kl) for batch in batches if batch.step]
        curves = (
            tuple(frontier.ideal_frontier(by_prompt)),
            tuple(frontier.best_of_n(by_prompt, gold=truth)),
            tuple(frontier.find_flags(by_prompt, policies)),
        )
    return Playground(
        run_id, view.title, settings_of(view).beta, gold, points, tuple(frontier.switching_betas(scores, kls)),
        siblings(lab, view), count, *curves,
    )  # fmt: skip


def choose(lab: LabContext, run_id: int, beta: float) -> Choice:
    """The checkpoint that maximises score - beta KL on the held-out prompts."""
    if not 0 <= beta < float("inf"):
        raise BadSetting("beta", beta, "a number from 0 on")
    _, batches = recorded(lab, run_id)
    points = [point_of(batch) for batch in batches]
    index = frontier.choose_checkpoint(*_means(points), beta)
    before, after = batches[0], batches[index]
    examples = zip(before.prompts[:EXAMPLES], before.texts, after.texts, strict=False)
    return Choice(beta, points[index], points[0], tuple(examples))


def start(lab: LabContext, run_id: int, samples: int = SAMPLES) -> int:
    """Queues the job that samples the base, and returns it; raises LabError where that cannot work."""
    if not 2 <= samples <= MOST_SAMPLES:
        raise BadSetting("samples", samples, f"a whole number from 2 to {MOST_SAMPLES}")
    view, _ = recorded(lab, run_id)
    settings = {"run": run_id, "samples": samples}
    return jobs.enqueue(lab, BASE_SAMPLES, settings, title=f"{samples} samples a prompt of the base of {view.title}")


def draw_base_samples(
    lab: LabContext, run_id: int, samples: int, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """The body of the job: draws, rewards and keeps them in the run's folder."""
    from genai_lab.training.base_samples import BaseModel, sample_base

    view = training.show(lab, run_id)
    resolved = training.resolve(lab, view.plan)
    if resolved.card.is_adapter:
        raise LabError(f"{view.plan.model} is an adapter, whose samples are not drawn here; merge it into its base.")
    base = BaseModel(
        resolved.folder, resolved.architecture, settings_of(view), resolved.model_folders, resolved.chat
    )  # fmt: skip
    first = steps(lab, run_id, EVALUATIONS)[0]
    batch = sample_base(base, read(lab, run_id, first, EVALUATIONS), samples, progress)
    batch.write(_path(lab, run_id))
    return {"run": run_id, "samples": samples, "completions": len(batch)}


def base_samples(lab: LabContext, run_id: int) -> RolloutBatch | None:
    """The base's samples of the held-out prompts, those of a prompt beside one another; None before they were drawn."""
    path = _path(lab, run_id)
    return RolloutBatch.read(path) if path.is_file() else None


def has_samples(lab: LabContext, run_id: int) -> bool:
    """Whether the base was sampled."""
    return _path(lab, run_id).is_file()


def scores_by_prompt(samples: RolloutBatch, gold: str = "") -> tuple[frontier.Floats, frontier.Floats | None]:
    """(scores (n, k), gold (n, k) or None) of n prompts with k samples each."""
    # Equal prompts may stand beside one another, but their rows differ.
    n = 1 + int(np.sum(samples.rows[1:] != samples.rows[:-1]))
    truth = samples.parts[:, samples.labels.index(gold)].reshape(n, -1) if gold in samples.labels else None
    return samples.scores.reshape(n, -1), truth


def recorded(lab: LabContext, run_id: int) -> tuple[TrainingView, list[RolloutBatch]]:
    """The run with its evaluations; raises LabError where there are none."""
    batches = evaluations(lab, run_id)
    view = training.show(lab, run_id)
    if not batches:
        raise LabError(f"Run {run_id} ({view.title}) has not completed its held-out prompts yet; wait for a moment.")
    return view, batches


def settings_of(view: TrainingView) -> Any:
    """The run's settings as its objective reads them."""
    return OBJECTIVES.get(view.plan.objective).settings_of(view.plan)


def gold_of(view: TrainingView) -> str:
    """The part of the score that is the truth: the first that is measured and not learned; "" without one."""
    return next((part.label for part in settings_of(view).parts if not part.learned), "")


def point_of(batch: RolloutBatch) -> PolicyPoint:
    """The means over the prompts, with their intervals."""
    parts = {label: _mean(batch.parts[:, column]) for column, label in enumerate(batch.labels)}
    return PolicyPoint(batch.step, _mean(batch.scores), _mean(batch.kl), parts)


def siblings(lab: LabContext, view: TrainingView) -> tuple[Sibling, ...]:
    """Runs that were trained at another weight of the KL, so that one sees whether the slider tells the truth. Those
    whose weight followed a target had none of their own.
    """
    results = []
    for other in training.find(lab, limit=SIBLINGS):
        if other.id == view.id or not other.rolls_out or not _alike(view, other):
            continue
        numbers = steps(lab, other.id, EVALUATIONS)
        if len(numbers) > 1:
            point = point_of(read(lab, other.id, numbers[-1], EVALUATIONS))
            results.append(Sibling(other.id, other.title, settings_of(other).beta, point))
    return tuple(results)


def _alike(view: TrainingView, other: TrainingView) -> bool:
    """Whether only the weight of the KL tells them apart, as far as a score is concerned."""
    mine, theirs = settings_of(view), settings_of(other)
    plans = [(item.plan.model, item.plan.data, item.plan.objective) for item in (view, other)]
    fixed = theirs.target_kl is None
    return plans[0] == plans[1] and mine.rewards == theirs.rewards and fixed and mine.beta != theirs.beta


def _path(lab: LabContext, run_id: int) -> Path:
    return training.rollouts_folder(lab, run_id) / "base_samples.npz"


def _means(points: Sequence[PolicyPoint]) -> tuple[list[float], list[float]]:
    return [point.score.value or 0.0 for point in points], [point.kl.value or 0.0 for point in points]


def _mean(values: frontier.Floats) -> Interval:
    return interval(Sample(values.astype(float)))
