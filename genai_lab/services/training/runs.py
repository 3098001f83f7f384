"""Fine-tuning runs: planned, queued as jobs, watched, exported as models with their lineage."""

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
from genai_lab.services.training import estimates
from genai_lab.services.training.resolution import ResolvedPlan, resolve
from genai_lab.services.training.views import TrainingView, view_of
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import TrainingPlan
from genai_lab.views import View
from storage import evaluation as queries
from storage import models as model_queries
from storage import runs as run_queries
from storage.tables import Run, RunInput

TRAIN = "train"
KEEP = "keep"
MERGE = "merge"
ATTEMPTS = 50


@dataclass(frozen=True)
class StartedRun(View):
    run_id: int
    job_id: int
    model: str


@dataclass(frozen=True)
class CheckedPlan(View):
    """A plan that can start: what it names, and the estimate that its run stores."""

    resolved: ResolvedPlan
    predicted: dict[str, Any]

    _hidden = ("resolved",)

    @property
    def plan(self) -> TrainingPlan:
        return self.resolved.plan


def check(lab: LabContext, plan: TrainingPlan | ResolvedPlan) -> CheckedPlan:
    """Raises LabError for what cannot work; starts nothing."""
    resolved = plan if isinstance(plan, ResolvedPlan) else resolve(lab, plan)
    return CheckedPlan(resolved, estimates.check(lab, resolved))


def start(
    lab: LabContext,
    plan: TrainingPlan | ResolvedPlan | CheckedPlan,
    *,
    name: str = "",
    title: str = "",
    tags: Sequence[str] = (),
    parent: int | None = None,
    priority: int = 0,
    after: Sequence[int] = (),
) -> StartedRun:
    """Queues the run; the name of its model is taken at once. Raises LabError for what cannot work.

    `name` is the model's; without it one is made of base and method.
    """
    checked = plan if isinstance(plan, CheckedPlan) else check(lab, plan)

    def queue(model: str) -> StartedRun:
        return _queue(lab, checked, model, title, tags, parent, priority, after)

    return _with_name(lab, name, f"{checked.plan.model}-{checked.plan.method}", queue)


def _queue(
    lab: LabContext,
    checked: CheckedPlan,
    name: str,
    title: str,
    tags: Sequence[str],
    parent: int | None,
    priority: int,
    after: Sequence[int],
) -> StartedRun:
    plan, resolved = checked.plan, checked.resolved
    with lab.database.session() as session:
        run = runs.begin(
            session,
            TRAIN,
            run_inputs(resolved),
            parent_id=parent,
            title=title.strip()[:200] or name,
            tags=[tag.strip()[:40] for tag in tags if tag.strip()],
            settings={
                "plan": pin_versions(resolved).as_dict(),
                "predicted": checked.predicted,
                "model": name,
                "rate": resolved.learning_rate,
            },
            seed=plan.training.seed,
            device=resolved.device,
            dtype=plan.training.precision,
        )
        models.reserve(session, card_to_be(lab, resolved, name, run.id), run.id)
        job = jobs.enqueue(
            lab,
            TRAIN,
            {"run": run.id, "plan": run.settings["plan"], "model": name},
            title=f"Fine-tune {plan.model} ({resolved.method.title}): {name}",
            priority=priority,
            after=after,
            run_id=run.id,
            session=session,
        )
    return StartedRun(run.id, job, name)


def run_inputs(resolved: ResolvedPlan) -> list[RunInput]:
    """Everything that the run reads: base, datasets, templates, and other models by their role."""
    inputs = [RunInput(role="base", model_id=resolved.base.id, content_hash=resolved.card.content_hash)]
    for number, source in enumerate(resolved.sources, 1):
        version = source.version
        inputs.append(
            RunInput(role=f"dataset {number}", dataset_version_id=version.id, content_hash=version.content_hash)
        )
        inputs += [
            RunInput(role=f"template {number}.{n}", template_version_id=view.id, content_hash=view.content_hash)
            for n, view in enumerate(source.template_views, 1)
        ]
    inputs += [
        RunInput(role=role, model_id=view.id, content_hash=view.card.content_hash)
        for role, view in resolved.models.items()
    ]
    return inputs


def pin_versions(resolved: ResolvedPlan) -> TrainingPlan:
    """The plan with every version by its number, so that it means the same tomorrow."""
    data = tuple(
        replace(spec, dataset=source.name, templates=tuple(view.name for view in source.template_views))
        for spec, source in zip(resolved.plan.data, resolved.sources, strict=True)
    )
    return replace(resolved.plan, data=data)


def card_to_be(lab: LabContext, resolved: ResolvedPlan, name: str, run_id: int) -> Card:
    """What is known of a model before its run has ended."""
    plan, base, kind = resolved.plan, resolved.card, resolved.objective.module_kind
    adapter = makes_adapter(plan, base)
    return replace(
        base,
        name=name,
        source=Source(
            "adapter" if adapter else "local", str(folder_of(lab, name, run_id)), base=plan.model if adapter else None
        ),
        role=kind.role(base.family),
        family=kind.family(base.family),  # type: ignore[arg-type]
        path=None,
        content_hash=None,
        about=f"{resolved.method.title} of {plan.model}",
    )


def makes_adapter(plan: TrainingPlan, base: Card) -> bool:
    """An encoder's adapter is merged, and a reward model's, since what uses them reads whole models."""
    adapter = METHODS.get(plan.method).artefact == "adapter" and base.family in ("decoder-only", "encoder-decoder")
    return adapter and not OBJECTIVES.get(plan.objective).module_kind.whole_folder


def folder_of(lab: LabContext, name: str, run_id: int) -> Path:
    """Where the model of a run lies."""
    return lab.config.home / "models" / f"{run_id}-{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"


def rollouts_folder(lab: LabContext, run_id: int) -> Path:
    """Where completions that a policy wrote in the run lie, once it has ended."""
    return lab.config.home / "rollouts" / str(run_id)


def show(lab: LabContext, run_id: int) -> TrainingView:
    """Raises LabError where there is no such run."""
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, run_id)
    if run is None or run.kind != TRAIN:
        raise LabError(f"There is no fine-tuning run {run_id}; the Fine-tune page lists the existing ones.")
    return _views(lab, [run])[0]


def find(lab: LabContext, *, parent: int | None = None, limit: int = 100) -> list[TrainingView]:
    """Runs, newest first, in a number of queries that does not depend on how many there are."""
    with lab.database.reading() as session:
        rows = queries.runs_of_kind(session, TRAIN, parent=parent, limit=limit)
    return _views(lab, rows)


def _views(lab: LabContext, rows: Sequence[Run]) -> list[TrainingView]:
    ids = [run.id for run in rows]
    with lab.database.reading() as session:
        models_by_run = model_queries.made_by(session, ids)
    views = jobs.of_runs(lab, ids)
    return [
        view_of(run, models_by_run[run.id].name if run.id in models_by_run else None, views.get(run.id)) for run in rows
    ]


def rename(lab: LabContext, run_id: int, title: str, tags: Sequence[str]) -> TrainingView:
    """Changes a run's title and tags, at any time."""
    title = title.strip()
    if not 1 <= len(title) <= 200:
        raise BadSetting("title", title[:60], "1 to 200 characters")
    names = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if any(len(tag) > 40 for tag in names) or len(names) > 20:
        raise LabError("A run takes at most 20 tags of at most 40 characters.")
    show(lab, run_id)
    with lab.database.session() as session:
        run_queries.name_run(session, run_id, title, names)
    return show(lab, run_id)


def curves(lab: LabContext, view: TrainingView) -> dict[str, list[tuple[int, float]]]:
    """Its curves by name: training loss, validation loss, learning rate and others."""
    points = jobs.metrics(lab, view.job.id) if view.job else {}
    old = OBJECTIVES.get(view.plan.objective).old_curves
    return {old.get(name, name): curve for name, curve in points.items()}


def samples(lab: LabContext, run_id: int) -> list[dict[str, Any]]:
    """What it wrote at each evaluation: step, place, prompt, reference, text; in order."""
    with lab.database.reading() as session:
        rows = queries.outputs(session, run_id)
    return [
        {**(row.detail or {}), "place": row.example, "prompt": row.prompt, "text": row.text}
        for row in sorted(rows, key=lambda row: ((row.detail or {}).get("step", 0), row.example))
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
        raise LabError(f"Run {run_id} has no job that could continue; clone it instead.")
    with lab.database.reading() as session:
        model = model_queries.made_by(session, [run_id]).get(run_id)
    if model is not None and model.path:
        raise LabError(f"Run {run_id} has made {model.name} already; clone it to train on.")
    jobs.retry(lab, view.job.id)


def keep(lab: LabContext, run_id: int) -> int:
    """Queues the job that makes the best checkpoint of a cancelled or failed run its model; returns the job."""
    from genai_lab.training.training_loop import best_checkpoint

    view = show(lab, run_id)
    if view.job is None or view.status not in ("cancelled", "failed"):
        raise LabError(f"Run {run_id} is {view.status}; only a cancelled or failed run's checkpoint is kept by hand.")
    if best_checkpoint(jobs.folder(lab, view.job.id) / "out") is None:
        raise LabError(f"Run {run_id} has no checkpoint yet, so there is nothing to keep; resume it instead.")
    order = {"run": run_id, "job": view.job.id, "model": view.model}
    return jobs.enqueue(lab, KEEP, order, title=f"Keep the best checkpoint of {view.title}")


def merge(lab: LabContext, adapter: str, name: str = "") -> StartedRun:
    """Queues the job that merges an adapter into its base as a model of its own; the two must say the same."""
    view = models.show(lab, adapter)
    if not view.card.is_adapter or view.card.path is None:
        raise LabError(f"{adapter} is not an adapter on this machine; choose an adapter.")
    base = models.show(lab, view.card.source.base or "")
    if reason := unmergeable(view.card.path):
        raise LabError(f"{adapter} cannot be merged into {base.card.name}: {reason}; use it as it is.")
    return _with_name(lab, name, f"{adapter}-merged", lambda model: _queue_merge(lab, view, base, model))


def _queue_merge(lab: LabContext, view: models.ModelView, base: models.ModelView, name: str) -> StartedRun:
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
    return StartedRun(run.id, job, name)


def model_folder(lab: LabContext, view: TrainingView) -> str:
    """The folder of the run's model within the data home; transformers or PEFT load it."""
    path = models.show(lab, view.model or "").card.path
    return str(path.relative_to(lab.config.home)) if path and path.is_relative_to(lab.config.home) else str(path or "")


def export(lab: LabContext, run_id: int, path: Path) -> Path:
    """Writes the run's model, which transformers or PEFT load, as one .zip; raises LabError."""
    if path.suffix != ".zip":
        raise LabError(f"{path.name} does not end in .zip, as which a model is written; choose another name.")
    folder = _model_path(lab, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as draft:
        shutil.make_archive(str(draft.with_suffix("")), "zip", folder.parent, folder.name)
    return path


def export_file(lab: LabContext, run_id: int) -> Path:
    """The same where the pages may hand it out, written when it is first asked for."""
    path = lab.config.uploads / "models" / f"{_model_path(lab, run_id).name}.zip"
    return path if path.is_file() else export(lab, run_id, path)


def _model_path(lab: LabContext, run_id: int) -> Path:
    """The folder of the run's model; raises LabError where it has made none."""
    card = models.show(lab, show(lab, run_id).model or "").card
    if card.path is None:
        raise LabError(f"Run {run_id} has made no model yet; wait for it, or keep its best checkpoint.")
    return card.path


def _with_name(lab: LabContext, name: str, stem: str, queue: Callable[[str], StartedRun]) -> StartedRun:
    """Queues under the name, or else under a free one, which another launch may take meanwhile."""
    if name.strip():
        return queue(models.checked_name(lab, name))
    for _ in range(ATTEMPTS):
        try:
            return queue(models.free_name(lab, stem))
        except DuplicateName:
            continue
    raise LabError(f"No name that begins with {stem[:90]} stayed free; give the model a name.")
