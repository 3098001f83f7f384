"""Reward models: the plan that suits a base, how accuracy grows with pairs, and what one annotator's votes change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import datasets, models, training
from genai_lab.services.training import ResolvedPlan, StartedRun, TrainingView, studies
from genai_lab.services.training.plan_settings import with_settings
from genai_lab.services.training.resolution import sources_of
from genai_lab.training import DatasetSpec, Training, TrainingPlan, architecture_of, reward_report
from genai_lab.training.learning_rates import SMALL
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.preference_data import Vote, divide_votes
from genai_lab.views import View

SHARES = (0.125, 0.25, 0.5, 1.0)
PASSES = 6  # over the pairs, of a small base
PAIRS_PER_STEP = 16
HOW = {"leave out": "left_out", "flip": "flipped"}


@dataclass(frozen=True)
class Point(View):
    """A run of a learning curve: accuracy on the same held-out pairs with its interval; None until it has ended."""

    share: float
    pairs: int | None
    value: float | None
    low: float | None
    high: float | None
    run: TrainingView


@dataclass(frozen=True)
class Influence(View):
    """Accuracy without an annotator (or with flipped votes) less that with all, on the same pairs, over prompts."""

    annotator: str
    how: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    run: TrainingView


def default_steps(rows: int, parameters: int | None) -> int:
    """Of 16 pairs: six passes and 100 to 1,200 steps for small bases, one pass and 20 to 600 for others.

    What a larger base has read already orders most pairs from the first step on, and its steps are dear.
    """
    if parameters is not None and parameters <= SMALL:
        return max(100, min(1200, PASSES * rows // PAIRS_PER_STEP))
    return max(20, min(600, rows // PAIRS_PER_STEP))


def resolve_default(
    lab: LabContext, dataset: str, base: str, method: str = "full", steps: int = 0, objective: str = "reward"
) -> ResolvedPlan:
    """A plan that suits the base: as many steps of 16 pairs as `default_steps` says.

    Another `objective`, such as dpo, tunes a policy on the same pairs. Raises LabError where something does not
    exist or does not suit the objective.
    """
    version = datasets.show(lab, dataset)
    card = models.show(lab, base).card
    architecture = architecture_of(card)
    room = min(256, card.context or 256)
    split = "train" if "train" in version.splits else next(iter(version.splits))
    max_steps = steps or default_steps(version.splits[split], card.parameters)
    settings_of_training = Training(
        max_steps=max_steps,
        per_device_batch_size=PAIRS_PER_STEP,
        max_length=room,
        validation_rows=200,
        eval_steps=max(1, max_steps // 6),
    )
    settings = OBJECTIVES.get(objective).default_settings(architecture)
    plan = TrainingPlan(
        base,
        (DatasetSpec(version.name),),
        objective,
        method,
        split=split,
        training=settings_of_training,
        objective_settings=settings,
    )
    return training.resolve(lab, plan)


def start_default(
    lab: LabContext,
    dataset: str,
    base: str,
    *,
    objective: str = "reward",
    method: str = "full",
    steps: int = 0,
    name: str = "",
    settings: Mapping[str, Any] | None = None,
) -> StartedRun:
    """Queues a run on pairs or labels with the plan that suits the base (`resolve_default`).

    `settings` stand in place of the plan's own, by their names. The one way in which pages, API and command line begin
    such a run.
    """
    chosen = dict(settings or {})
    plan = resolve_default(lab, dataset, base, method, chosen.pop("max_steps", steps), objective).plan
    return training.start(lab, with_settings(plan, chosen), name=name)


def learning_curve(lab: LabContext, plan: TrainingPlan, shares: Sequence[float] = SHARES, *, title: str = "") -> int:
    """Begins a run for each share of the training prompts, all with the same held-out pairs; returns the study."""
    fractions = sorted(set(shares))
    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise LabError("A learning curve needs shares above 0 and up to 1, such as 0.25, 0.5 and 1.")
    plans = [_with(plan, share=fraction) for fraction in fractions]
    return _study(
        lab, "learning curve", plans, [f"{100 * fraction:g} % of the prompts" for fraction in fractions], title
    )


def label_to_curve(
    lab: LabContext, plan: TrainingPlan, annotators: Sequence[str] = (), how: str = "leave out", *, title: str = ""
) -> int:
    """Begins a run with all votes and one for each annotator without (or with flipped) votes; returns the study.

    Without names it takes all annotators of the training pairs, the busiest first. Raises LabError before anything is
    begun where the pairs tell fewer than two apart.
    """
    if how not in HOW:
        raise LabError(f"There is no way {how!r}. Known: {', '.join(HOW)}.")
    existing = _annotators(lab, plan)
    if len(existing) < 2:
        raise LabError(
            f"The training pairs name {len(existing) or 'no'} annotator{'s' * (not existing)}, but it takes two to "
            "leave one out; learn from pairs that keep each vote by itself, with a column annotator."
        )
    names = list(dict.fromkeys(annotators)) or existing[: studies.MOST_RUNS - 1]
    if lacking := next((name for name in names if name not in existing), None):
        raise LabError(f"The training pairs have no annotator {lacking!r}. They have: {', '.join(existing[:12])}.")
    plans = [plan, *(_with(plan, **{HOW[how]: name}) for name in names)]
    return _study(lab, "label to curve", plans, ["all votes", *(f"{how}: {name}" for name in names)], title)


def curve(lab: LabContext, study_id: int) -> list[Point]:
    """The points of a learning curve, the smallest share first."""
    points = []
    for run in studies.show(lab, study_id).runs:
        accuracy = run.report.get("accuracy", {})
        share = float(run.plan.objective_settings.get("share", 1.0))
        value, low, high = (accuracy.get(name) for name in ("value", "low", "high"))
        points.append(Point(share, run.report.get("training_pairs"), value, low, high, run))
    return sorted(points, key=lambda point: point.share)


def influences(lab: LabContext, study_id: int) -> list[Influence]:
    """What leaving out or flipping each annotator changed, for the runs that have ended."""
    runs = [run for run in studies.show(lab, study_id).runs if run.report]
    baseline = next((run for run in runs if not _changed(run)), None)
    if baseline is None:
        return []
    held_out = _held(lab, baseline)
    results = []
    for run in runs:
        if run is baseline:
            continue
        if [pair[:2] for pair in run.report["pairs"]] != [pair[:2] for pair in baseline.report["pairs"]]:
            raise LabError(f"Run {run.id} was measured on other pairs than run {baseline.id}; they cannot be compared.")
        a, b = (reward_report.right(np.array([pair[2] for pair in each.report["pairs"]])) for each in (baseline, run))
        (how, name), comparison = _changed(run), reward_report.compare_accuracies(held_out, a, b)
        results.append(Influence(name, how, float(a.mean()), float(b.mean()), **comparison, run=run))
    return results


def _changed(run: TrainingView) -> Any:
    """(how, annotator); () where all votes were read."""
    settings = run.plan.objective_settings
    return next(((how, settings[key]) for how, key in HOW.items() if settings.get(key)), ())


def _held(lab: LabContext, run: TrainingView) -> list[Vote]:
    """The held-out votes of a run in the order of its report."""
    parts = [{vote.row: vote for vote in divide_votes(source, run.plan).held} for source in sources_of(lab, run.plan)]
    return [parts[index][row] for index, row, _ in run.report["pairs"]]


def _annotators(lab: LabContext, plan: TrainingPlan) -> list[str]:
    count: dict[str, int] = {}
    for source in sources_of(lab, plan):
        for vote in divide_votes(source, plan).train:
            if vote.annotator:
                count[vote.annotator] = count.get(vote.annotator, 0) + 1
    return sorted(count, key=lambda name: (-count[name], name))


def _study(lab: LabContext, kind: str, plans: Sequence[TrainingPlan], titles: Sequence[str], title: str) -> int:
    if len(plans) > studies.MOST_RUNS:
        raise LabError(f"The study has {len(plans)} runs; at most {studies.MOST_RUNS} can be begun.")
    for plan in plans:
        if not OBJECTIVES.get(plan.objective).learns_reward:
            raise LabError("The study needs a plan of a reward model; choose that objective.")
    ready = [training.check(lab, plan) for plan in plans]
    called = title or f"{kind.capitalize()} of {plans[0].model}"
    with studies.queued_study(lab, kind, called, {"titles": list(titles)}) as study:
        study.train(ready, titles)
    return study.id


def _with(plan: TrainingPlan, **settings: Any) -> TrainingPlan:
    return replace(plan, objective_settings=plan.objective_settings | settings)
