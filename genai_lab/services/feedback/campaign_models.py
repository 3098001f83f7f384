"""What has been learned from a campaign: reward models, accuracy by number of labels, what one annotator changes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan
from genai_lab.services import datasets, feedback, models, training
from genai_lab.services.feedback import exporting, fresh
from genai_lab.services.training import StartedRun, TrainingView, reward_studies, studies
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.views import View

CURVE = "learning curve"
LABELS = "label to curve"


@dataclass(frozen=True)
class Learned(View):
    """`runs` are those that read the campaign's votes, newest first; a study is None until one was begun."""

    runs: tuple[TrainingView, ...]
    curve: tuple[reward_studies.Point, ...]
    influences: tuple[reward_studies.Influence, ...]
    waiting: int

    @property
    def rewarded(self) -> TrainingView | None:
        """The newest run that made a reward model."""
        return next((run for run in self.runs if run.makes_reward_model and run.report), None)


def of(lab: LabContext, campaign: int | str) -> Learned:
    """Everything there is by now."""
    view = feedback.show(lab, campaign)
    names = set(versions(lab, view.id))
    runs = [run for run in training.find(lab, limit=500) if names & {part.dataset for part in run.plan.data}]
    parents = [run.parent for run in runs if run.parent is not None]
    studies_by_run = {parent: studies.show(lab, parent) for parent in dict.fromkeys(parents)}
    curve = next((study for study in studies_by_run.values() if study.kind == CURVE), None)
    labels = [
        each
        for study in studies_by_run.values()
        if study.kind == LABELS
        for each in reward_studies.influences(lab, study.id)
    ]
    waiting = sum(run.status in ("running", "queued") for run in runs)
    return Learned(
        tuple(run for run in runs if run.parent is None),
        tuple(reward_studies.curve(lab, curve.id)) if curve else (),
        tuple({(study.annotator, study.how): study for study in reversed(labels)}.values()),
        waiting,
    )


def train(
    lab: LabContext,
    campaign: int | str,
    base: str,
    *,
    objective: str = "reward",
    method: str = "full",
    votes: str = "kept",
    steps: int = 0,
    name: str = "",
    settings: Mapping[str, Any] | None = None,
) -> StartedRun:
    """Queues a run that learns from the campaign's votes, which become a dataset version first.

    The objective says whether it reads pairs or labels of single completions. `settings` are those of the plan, by
    their names; without a name the model is called after the campaign. Raises LabError, before a version is made, for
    an objective, a method or a base that there is not.
    """
    content = OBJECTIVES.get(objective).reads_votes_as
    METHODS.get(method)
    models.check_ready(models.show(lab, base))
    view = feedback.show(lab, campaign)
    version = exporting.to_dataset(lab, view.id, votes=votes, content=content)
    return reward_studies.start_default(
        lab,
        version.name,
        base,
        objective=objective,
        method=method,
        steps=steps,
        name=name or _free_name(lab, view.name, objective),
        settings=settings,
    )


def _free_name(lab: LabContext, campaign: str, objective: str) -> str:
    """A free name that tells what a model learned from."""
    stem = re.sub(r"[^\w.-]+", "-", campaign).strip("-._")[:80] or "campaign"
    used = {view.card.name for archived in (False, True) for view in models.catalogue(lab, archived=archived)}
    candidates = chain([f"{stem}-{objective}"], (f"{stem}-{objective}-{number}" for number in count(2)))
    return next(candidate for candidate in candidates if candidate not in used)


def versions(lab: LabContext, campaign: int) -> list[str]:
    """The dataset versions that hold its pairs or labels."""
    version_views, _ = datasets.find(lab, "", 1000)
    return [
        version.name
        for version in version_views
        if version.source.get("kind") == "campaign" and version.source.get("campaign") == campaign
    ]


def study(lab: LabContext, run_id: int, kind: str, annotators: Sequence[str] = (), how: str = "leave out") -> int:
    """Begins a learning curve, or runs with annotators' labels left out or flipped (all of them, where none is named),
    with the plan of a reward model; returns the study.
    """
    plan = training.show(lab, run_id).plan
    if kind == CURVE:
        return reward_studies.learning_curve(lab, plan)
    if kind == LABELS:
        if any(datasets.show(lab, part.dataset).source.get("votes") == "majority" for part in plan.data):
            raise LabError(
                f"Run {run_id} learned the majority of each item, which names no annotator; train a reward model on "
                "each vote by itself first."
            )
        return reward_studies.label_to_curve(lab, plan, annotators, how)
    raise LabError(f"There is no study {kind!r}. Known: {CURVE}, {LABELS}.")


def more_would_help(points: Sequence[reward_studies.Point]) -> str:
    """What the last step of the curve says about more labels."""
    measured = [
        point for point in points if point.value is not None and point.low is not None and point.high is not None
    ]
    if len(measured) < 2:
        return ""
    last, before = measured[-1], measured[-2]
    if (last.value or 0) > (before.value or 0) and (last.value or 0) > (before.high or 0):
        return "Accuracy still rises beyond the interval of half the labels: more labels would help."
    if (last.value or 0) > (before.value or 0):
        return "Accuracy still rises, within the intervals: more labels may help."
    return "Accuracy does not rise from half the labels to all of them: more of the same labels would help little."


def before_and_after(lab: LabContext, run_id: int, *, rows: int = 50, overlap: int = 2, seed: int = 0) -> fresh.Begun:
    """A new campaign in which annotators compare, blind, what a tuned policy says with what its base says.

    Prompts are those of the run's held-out pairs. Raises LabError for a run that made no policy yet.
    """
    view = training.show(lab, run_id)
    if not view.tunes_policy or view.model is None or models.show(lab, view.model).status == "training":
        raise LabError(f"Run {run_id} has made no policy yet; tune one by DPO or KTO, and wait for it.")
    version = datasets.show(lab, view.plan.data[0].dataset)
    split = next((name for name in ("test", "validation", "train") if name in version.splits), "")
    existing, first = {candidate_name.name for candidate_name in feedback.find(lab)}, f"Run {run_id} against its base"
    name = next(
        candidate_name
        for candidate_name in chain((first,), (f"{first} {n}" for n in count(2)))
        if candidate_name not in existing
    )
    plan = CampaignPlan(name, "helpful", overlap=overlap, seed=seed)
    sampling = (Sampling(temperature=0.8, max_new_tokens=64),)
    return fresh.start(
        lab, plan, [view.plan.model, view.model], dataset=version.name, samplings=sampling, rows=rows, split=split,
        seed=seed,
    )  # fmt: skip
