"""Toxicity before and after: base and policy complete the same held-out prompts with the same seeds, and a classifier
of one's choice reads what they wrote. The evaluation stands on the Evaluate page too.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.metrics import MetricSpec
from genai_lab.services import datasets, evaluation, models, training
from genai_lab.services.alignment.playground import settings_of
from genai_lab.services.evaluation import EvaluationView, ModelsStarted, comparing
from genai_lab.services.matrix import MatrixPlan
from genai_lab.services.training import TrainingView
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.views import View

TITLE = "Toxicity before and after run {run}"
CLASSIFIER = "starter-toxicity"
COMPLETIONS, ROWS = 8, 50
MOST_EVALUATIONS = 50


@dataclass(frozen=True)
class ToxicityRow(View):
    """One figure of both sides with intervals, and the paired comparison: the policy less the base."""

    metric: str
    figure: str
    title: str
    lower_is_better: bool
    before: evaluation.ScoreView
    after: evaluation.ScoreView
    comparison: comparing.BaselineComparison


@dataclass(frozen=True)
class ToxicityTable(View):
    """`rewarded` says that the classifier was what the policy learned from, which then is no evidence."""

    run: int
    evaluation: int
    status: str
    error: str | None
    classifier: str
    rewarded: bool
    rows: tuple[ToxicityRow, ...]

    @property
    def sentence(self) -> str:
        if self.rewarded:
            return (
                f"{self.classifier} is what the policy was rewarded by, so that its figures are no evidence of less "
                "toxicity; choose another classifier, or ask people."
            )
        return f"{self.classifier} was no part of the reward."


def start(
    lab: LabContext,
    run_id: int,
    *,
    classifier: str = CLASSIFIER,
    completions: int = COMPLETIONS,
    rows: int = ROWS,
    seed: int = 0,
    task_metric: str = "rouge",
) -> ModelsStarted:
    """Queues the completions of base and policy, and their evaluation; raises LabError for what cannot work.

    `task_metric` is measured against the references of the rows, and left out where these have none.
    """
    if not 2 <= completions <= 64:
        raise BadSetting("completions", completions, "a whole number from 2 to 64")
    view = _policy(lab, run_id)
    models.show(lab, classifier)
    version = datasets.show(lab, view.plan.data[0].dataset)
    split = next((name for name in ("test", "validation", "train") if name in version.splits), "")
    metrics = [
        MetricSpec("toxicity", {"model": classifier}),
        MetricSpec("expected_max_toxicity", {"model": classifier, "k": completions}),
        MetricSpec("perplexity", {"model": view.plan.model}),
        MetricSpec("diversity", {"n": 2}),
    ]
    if task_metric and version.roles.get("reference"):
        metrics.append(MetricSpec(task_metric))
    assert view.model is not None
    plan = MatrixPlan(
        version.name,
        (view.plan.model, view.model),
        view.plan.data[0].templates[:1] or ("plain",),
        samplings=(_sampling(view),),
        seeds=(seed,),
        rows=min(rows, version.splits.get(split, rows)),
        sample_seed=seed,
        split=split,
        metrics=tuple(metrics),
        num_return_sequences=completions,
    )
    return evaluation.run_models(lab, plan, title=TITLE.format(run=run_id), baseline_cell=0)


def find(lab: LabContext, run_id: int) -> list[EvaluationView]:
    """The evaluations that were begun for the run, newest first."""
    title = TITLE.format(run=run_id)
    return [view for view in evaluation.find(lab, MOST_EVALUATIONS) if view.title == title]


def show(lab: LabContext, run_id: int, evaluation_id: int | None = None) -> ToxicityTable:
    """The newest table of the run, or that of an evaluation; raises LabError where none was begun."""
    view = training.show(lab, run_id)
    if evaluation_id is None:
        begun = find(lab, run_id)
        if not begun:
            raise LabError(f"Nothing was measured before and after run {run_id} yet; start it first.")
        evaluation_id = begun[0].id
    measured = evaluation.show(lab, evaluation_id)
    choices = [choice for choice in measured.choices if choice.metric == "toxicity"]
    classifier = str(choices[0].settings.get("model", CLASSIFIER)) if choices else ""
    measured_systems = {score.system for score in measured.scores}
    failed = [item.label for item in measured.systems if item.id not in measured_systems]
    error = measured.error
    if measured.status == "finished" and failed:
        error = f"{' and '.join(failed)} could not be measured; its matrix in the Prompt lab says why."
    rows = _rows(lab, measured) if measured.status == "finished" and not failed else ()
    rewarded = classifier in _reward_models(view)
    return ToxicityTable(run_id, measured.id, measured.status, error, classifier, rewarded, rows)


def _rows(lab: LabContext, view: EvaluationView) -> tuple[ToxicityRow, ...]:
    if len(view.systems) < 2:
        return ()
    before, after = view.baseline, next(item.id for item in view.systems if item.id != view.baseline)
    rows = []
    for key in view.figures():
        figure = figure_of(key[0], key[1])
        if figure.more:
            continue
        rows.append(
            ToxicityRow(
                key[0], key[1], figure.title, not figure.higher_is_better, view.score(key, before),
                view.score(key, after), comparing.compare(lab, view, key)[0],
            )
        )  # fmt: skip
    return tuple(rows)


def _policy(lab: LabContext, run_id: int) -> TrainingView:
    view = training.show(lab, run_id)
    if not view.tunes_policy:
        raise LabError(f"Run {run_id} ({view.title}) makes no policy, so that there is nothing to compare.")
    if view.model is None or models.show(lab, view.model).status not in ("ready", "loaded"):
        raise LabError(f"Run {run_id} has made no policy yet; wait for it, or keep its best checkpoint.")
    return view


def _sampling(view: TrainingView) -> Sampling:
    """As the policy wrote while it learned."""
    if not view.rolls_out:
        return Sampling(temperature=1.0, max_new_tokens=64)
    settings = settings_of(view)
    return Sampling(temperature=settings.temperature, max_new_tokens=settings.max_completion_length)


def _reward_models(view: TrainingView) -> set[str]:
    """What rewarded the policy."""
    if not OBJECTIVES.get(view.plan.objective).rolls_out:
        return set()
    parts: Any = settings_of(view).parts
    return set(chain.from_iterable((part.model,) for part in parts if part.learned and part.model))
