"""Fine-tuning runs: planned, begun as jobs, watched, kept as models with their lineage."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import BadSetting, DuplicateName, LabError
from genai_lab.files import atomic_write
from genai_lab.models import Card, Source
from genai_lab.models.adapter import unmergeable
from genai_lab.services import jobs, models, runs
from genai_lab.services.training import preparation
from genai_lab.services.training.views import TrainingView as TrainingView
from genai_lab.services.training.views import view_of
from genai_lab.training import Plan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.views import View
from storage import evaluation as queries
from storage import models as model_queries
from storage import runs as run_queries
from storage.tables import RunInput

TRAIN = "train"
KEEP = "keep"
MERGE = "merge"
ATTEMPTS = 50
OLD_NAMES = {"validation accuracy": "validation token accuracy"}


@dataclass(frozen=True)
class Started(View):
    run_id: int
    job_id: int
    model: str


@dataclass(frozen=True)
class Checked(View):
    """A plan that can begin: what it names, and the memory plan that a run keeps."""

    plan: Plan
    found: preparation.ResolvedPlan
    predicted: dict[str, Any]


def checked(lab: LabContext, plan: Plan) -> Checked:
    """Raises LabError for what cannot work; begins nothing."""
    from genai_lab.services.training import estimates

    found = preparation.known(lab, plan)
    return Checked(plan, found, estimates.checked(lab, plan, found))


def start(
    lab: LabContext,
    plan: Plan | Checked,
    *,
    name: str = "",
    title: str = "",
    tags: Sequence[str] = (),
    parent: int | None = None,
    priority: int = 0,
    after: Sequence[int] = (),
) -> Started:
    """Queues the run; the model that it is to make has its name at once. Raises LabError for what cannot work.

    `name` is the model's; without it one is made of base and method.
    """
    ready = plan if isinstance(plan, Checked) else checked(lab, plan)

    def begin(called: str) -> Started:
        return _begun(lab, ready, called, title, tags, parent, priority, after)

    return _under_a_name(lab, name, f"{ready.plan.model}-{ready.plan.method}", begin)


def _begun(
    lab: LabContext,
    ready: Checked,
    name: str,
    title: str,
    tags: Sequence[str],
    parent: int | None,
    priority: int,
    after: Sequence[int],
) -> Started:
    plan, found = ready.plan, ready.found
    with lab.database.session() as session:
        view = models.show(lab, plan.model)
        inputs = [RunInput(role="base", model_id=view.id, content_hash=found.card.content_hash)]
        for place, version in enumerate(found.versions, 1):
            inputs.append(
                RunInput(role=f"dataset {place}", dataset_version_id=version.id, content_hash=version.content_hash)
            )
            inputs += [
                RunInput(role=f"template {place}.{n}", template_version_id=one.id, content_hash=one.content_hash)
                for n, one in enumerate(found.templates[place - 1], 1)
            ]
        run = runs.begin(
            session,
            TRAIN,
            inputs,
            parent_id=parent,
            title=title.strip()[:200] or name,
            tags=[tag.strip()[:40] for tag in tags if tag.strip()],
            settings={
                "plan": named(plan, found).as_dict(),
                "predicted": ready.predicted,
                "model": name,
                "rate": found.rate(plan),
            },
            seed=plan.training.seed,
            device=lab.config.device,
        )
        models.reserve(session, card_to_be(lab, plan, found.card, name, run.id), run.id)
        job = jobs.enqueue(
            lab,
            TRAIN,
            {"run": run.id, "plan": run.settings["plan"], "model": name},
            title=f"Fine-tune {plan.model} ({METHODS.get(plan.method).title}): {name}",
            priority=priority,
            after=after,
            run_id=run.id,
            session=session,
        )
    return Started(run.id, job, name)


def named(plan: Plan, found: preparation.ResolvedPlan) -> Plan:
    """The plan with every version by its number, so that it means the same tomorrow."""
    data = tuple(
        replace(part, dataset=version.name, templates=tuple(one.name for one in own))
        for part, version, own in zip(plan.data, found.versions, found.templates, strict=True)
    )
    return replace(plan, data=data)


def card_to_be(lab: LabContext, plan: Plan, base: Card, name: str, run_id: int) -> Card:
    """What is known of a model before it is made."""
    adapter = makes_adapter(plan, base)
    head = OBJECTIVES.get(plan.objective).head
    family = {"classify": "classifier", "reward": "classifier", "masked": "encoder"}.get(head, base.family)
    role = {"classifier": "classify", "encoder": "classify"}.get(family, "generate")
    return replace(
        base,
        name=name,
        source=Source(
            "adapter" if adapter else "local", str(folder_of(lab, name, run_id)), base=plan.model if adapter else None
        ),
        role="reward" if head == "reward" else role,  # type: ignore[arg-type]
        family=family,  # type: ignore[arg-type]
        path=None,
        content_hash=None,
        about=f"{METHODS.get(plan.method).title} of {plan.model}",
    )


def makes_adapter(plan: Plan, base: Card) -> bool:
    """An encoder's adapter is merged, and a reward model's, since what uses them reads whole models."""
    adapter = METHODS.get(plan.method).artefact == "adapter" and base.family in ("decoder-only", "encoder-decoder")
    return adapter and OBJECTIVES.get(plan.objective).head != "reward"


def folder_of(lab: LabContext, name: str, run_id: int) -> Path:
    """Where the model of a run lies."""
    return lab.config.home / "models" / f"{run_id}-{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"


def show(lab: LabContext, run_id: int) -> TrainingView:
    """Raises LabError where there is no such run."""
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, run_id)
        if run is None or run.kind != TRAIN:
            raise LabError(f"There is no fine-tuning run {run_id}; the Fine-tune page lists those there are.")
        made = model_queries.made_by(session, [run_id]).get(run_id)
        job = queries.job_of_run(session, run_id)
    return view_of(lab, run, made.name if made else None, job)


def find(lab: LabContext, *, parent: int | None = None, limit: int = 100) -> list[TrainingView]:
    """Runs, newest first."""
    with lab.database.reading() as session:
        found = queries.runs_of_kind(session, TRAIN, parent=parent, limit=limit)
        made = model_queries.made_by(session, [run.id for run in found])
        job_ids = {run.id: queries.job_of_run(session, run.id) for run in found}
    return [view_of(lab, run, made[run.id].name if run.id in made else None, job_ids[run.id]) for run in found]


def rename(lab: LabContext, run_id: int, title: str, tags: Sequence[str]) -> TrainingView:
    """A run's own words; they may be changed at any time."""
    title = title.strip()
    if not 1 <= len(title) <= 200:
        raise BadSetting("title", title[:60], "1 to 200 characters")
    kept = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if any(len(tag) > 40 for tag in kept) or len(kept) > 20:
        raise LabError("A run takes at most 20 tags of at most 40 characters.")
    show(lab, run_id)
    with lab.database.session() as session:
        run_queries.name_run(session, run_id, title, kept)
    return show(lab, run_id)


def curves(lab: LabContext, view: TrainingView) -> dict[str, list[tuple[int, float]]]:
    """Its curves by name: training loss, validation loss, learning rate and more."""
    found = jobs.metrics(lab, view.job.id) if view.job else {}
    objective = OBJECTIVES.get(view.plan.objective)
    if objective.head in ("lm", "masked") and objective.needs != "pairs":
        # What earlier runs called accuracy was that of tokens, the end among them.
        found = {OLD_NAMES.get(name, name): points for name, points in found.items()}
    return found


def samples(lab: LabContext, run_id: int) -> list[dict[str, Any]]:
    """What it wrote at each evaluation: step, place, prompt, reference, text; in order."""
    with lab.database.reading() as session:
        found = queries.outputs(session, run_id)
    return [
        {**(one.detail or {}), "place": one.example, "prompt": one.prompt, "text": one.text}
        for one in sorted(found, key=lambda one: ((one.detail or {}).get("step", 0), one.example))
    ]


def cancel(lab: LabContext, run_id: int) -> None:
    """Ends the run; its checkpoints stay, so that it can go on or its best one be kept."""
    view = show(lab, run_id)
    if view.job is not None:
        jobs.cancel(lab, view.job.id)


def resume(lab: LabContext, run_id: int) -> None:
    """Goes on from the last good checkpoint."""
    view = show(lab, run_id)
    if view.job is None:
        raise LabError(f"Run {run_id} has no job that could go on; clone it instead.")
    with lab.database.reading() as session:
        made = model_queries.made_by(session, [run_id]).get(run_id)
    if made is not None and made.path:
        raise LabError(f"Run {run_id} has made {made.name} already; clone it to train on.")
    jobs.retry(lab, view.job.id)


def keep(lab: LabContext, run_id: int) -> int:
    """Queues the job that makes the best checkpoint of a cancelled or failed run its model; returns the job."""
    from genai_lab.training.training_loop import best_of

    view = show(lab, run_id)
    if view.job is None or view.status not in ("cancelled", "failed"):
        raise LabError(f"Run {run_id} is {view.status}; only a cancelled or failed run's checkpoint is kept by hand.")
    if best_of(jobs.folder(lab, view.job.id) / "out") is None:
        raise LabError(f"Run {run_id} has no checkpoint yet, so there is nothing to keep; resume it instead.")
    order = {"run": run_id, "job": view.job.id, "model": view.model}
    return jobs.enqueue(lab, KEEP, order, title=f"Keep the best checkpoint of {view.title}")


def merge(lab: LabContext, adapter: str, name: str = "") -> Started:
    """Queues the job that merges an adapter into its base as a model of its own; the two must say the same."""
    view = models.show(lab, adapter)
    if not view.card.is_adapter or view.card.path is None:
        raise LabError(f"{adapter} is no adapter that is here; choose one that stands on a base.")
    base = models.show(lab, view.card.source.base or "")
    if reason := unmergeable(view.card.path):
        raise LabError(f"{adapter} cannot be merged into {base.card.name}: {reason}; use it as it is.")
    return _under_a_name(lab, name, f"{adapter}-merged", lambda called: _merging(lab, view, base, called))


def _merging(lab: LabContext, view: models.ModelView, base: models.ModelView, name: str) -> Started:
    adapter = view.card.name
    with lab.database.session() as session:
        run = runs.begin(
            session,
            MERGE,
            [
                RunInput(role="adapter", model_id=view.id, content_hash=view.card.content_hash),
                RunInput(role="base", model_id=base.id, content_hash=base.card.content_hash),
            ],
            settings={"model": name},
            seed=0,
        )
        source = Source("local", str(folder_of(lab, name, run.id)))
        card = replace(base.card, name=name, source=source, path=None, content_hash=None)
        models.reserve(session, replace(card, about=f"{adapter} merged into {base.card.name}"), run.id)
        order = {"run": run.id, "adapter": adapter, "base": base.card.name, "model": name}
        job = jobs.enqueue(lab, MERGE, order, title=f"Merge {adapter}", run_id=run.id, session=session)
    return Started(run.id, job, name)


def place_of(lab: LabContext, view: TrainingView) -> str:
    """The folder of the run's model within the data home; transformers or PEFT load it."""
    path = models.show(lab, view.model or "").card.path
    return str(path.relative_to(lab.config.home)) if path and path.is_relative_to(lab.config.home) else str(path or "")


def export_file(lab: LabContext, run_id: int) -> Path:
    """The run's model as one .zip where the pages may hand it out, made when it is first asked for."""
    view = show(lab, run_id)
    card = models.show(lab, view.model or "").card
    if card.path is None:
        raise LabError(f"Run {run_id} has made no model yet; wait for it, or keep its best checkpoint.")
    place = lab.config.uploads / "models"
    path = place / f"{card.path.name}.zip"
    if not path.is_file():
        place.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            shutil.make_archive(str(draft.with_suffix("")), "zip", card.path.parent, card.path.name)
    return path


def _under_a_name(lab: LabContext, asked: str, stem: str, begin: Callable[[str], Started]) -> Started:
    """Begins it under the name that is asked for, or else under a free one; another launch may take that meanwhile."""
    if asked.strip():
        return begin(models.checked_name(lab, asked))
    for _ in range(ATTEMPTS):
        try:
            return begin(_fresh_name(lab, stem[:90]))
        except DuplicateName:
            continue
    raise LabError(f"No name that begins with {stem[:90]} stayed free; give the model a name.")


def _fresh_name(lab: LabContext, name: str) -> str:
    """The name, with a number behind it where it is taken."""
    taken = {view.card.name for archived in (False, True) for view in models.catalogue(lab, archived=archived)}
    number = 1
    while (made := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return made
