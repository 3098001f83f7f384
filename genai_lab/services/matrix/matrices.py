"""The matrix: models x templates x shots x settings x seeds over the same rows, as one job.

A cell is a Run of kind "predict" below the matrix' own; its completions and scores come in while the job runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS, requirements, settings_of
from genai_lab.models.sizing import device_of
from genai_lab.prompts import bind
from genai_lab.services import datasets, embedding, jobs, models, prompting, runs, scorers, templates
from genai_lab.services.matrix.plan import MOST_CELLS, Cell, MatrixPlan, cell_settings, label
from genai_lab.services.predictions import ScoreView, SystemView, dataset_name, score_view, system_view
from genai_lab.views import View
from storage import evaluation as queries
from storage.tables import Run, RunInput

MATRIX = "matrix"


@dataclass(frozen=True)
class CellView(View):
    """A cell as it stands: its run, what it is made of, how many rows are done, its scores so far."""

    system: SystemView
    k: int
    selector: str
    sampling: dict[str, Any]
    seed: int
    fitted: dict[str, int]
    cached: int
    seconds: float | None
    scores: tuple[ScoreView, ...]
    error: str | None = None


@dataclass(frozen=True)
class MatrixView(View):
    id: int
    title: str
    status: str
    error: str | None
    created_at: datetime
    dataset: str
    plan: MatrixPlan
    rows: int
    cells: tuple[CellView, ...]
    seed: int
    job_id: int | None


@dataclass(frozen=True)
class StartedMatrix(View):
    run_id: int
    job_id: int
    cells: tuple[int, ...]


@dataclass(frozen=True)
class PreparedMatrix:
    """A plan that has been checked, with everything that its runs record."""

    plan: MatrixPlan
    cells: tuple[Cell, ...]
    version: datasets.VersionView
    templates: dict[str, templates.TemplateView]
    embedder: models.ModelView | None
    models: dict[str, models.ModelView]


def start(
    lab: LabContext, plan: MatrixPlan, *, title: str = "", priority: int = 0, after: Sequence[int] = ()
) -> StartedMatrix:
    """Queues the matrix; its runs exist at once. Raises LabError for whatever cannot work.

    It begins when the jobs of `after` have ended, such as those that train its models.
    """
    prepared = prepare(lab, plan)
    with lab.database.session() as session:
        return queue(lab, session, prepared, title=title, priority=priority, after=after)


def prepare(lab: LabContext, plan: MatrixPlan, dtypes: Mapping[str, str | None] | None = None) -> PreparedMatrix:
    """Checks the plan as `check_plan` does and reads what its runs record; `dtypes` are of models by name, in place of
    their own.
    """
    cells, version = check_plan(lab, plan)
    embedder = embedding.show(lab, plan.embedder) if any(cell.needs_embedder for cell in cells) else None
    return PreparedMatrix(
        plan if embedder is None else replace(plan, embedder=embedder.name),
        tuple(cells),
        version,
        {name: templates.show(lab, name) for name in dict.fromkeys(cell.template for cell in cells)},
        embedder,
        {
            name: models.placed(lab, models.show(lab, name), (dtypes or {}).get(name))
            for name in dict.fromkeys(cell.model for cell in cells)
        },
    )


def queue(
    lab: LabContext,
    session: Session,
    prepared: PreparedMatrix,
    *,
    title: str = "",
    priority: int = 0,
    after: Sequence[int] = (),
) -> StartedMatrix:
    """Adds the matrix, its cells and its job within the caller's transaction."""
    plan, cells, version = prepared.plan, prepared.cells, prepared.version
    title = title.strip()[:200] or f"{version.name}: {len(cells)} cell{'s' if len(cells) != 1 else ''}"
    inputs = [RunInput(role="dataset", dataset_version_id=version.id, content_hash=version.content_hash)]
    settings = {"title": title, "plan": plan.as_dict()}
    parent = runs.begin(session, MATRIX, inputs, settings, plan.sample_seed, device=device_of(lab.options))
    cell_ids = [_add_cell(lab, session, prepared, cell, parent.id) for cell in cells]
    job = jobs.enqueue(
        lab,
        MATRIX,
        {"run": parent.id, "cells": cell_ids, "plan": plan.as_dict()},
        title=f"Matrix: {title}",
        priority=priority,
        after=after,
        run_id=parent.id,
        session=session,
    )
    return StartedMatrix(parent.id, job, tuple(cell_ids))


def _add_cell(lab: LabContext, session: Session, prepared: PreparedMatrix, cell: Cell, parent_id: int) -> int:
    template, model, version = prepared.templates[cell.template], prepared.models[cell.model], prepared.version
    inputs = [
        RunInput(role="model", model_id=model.id, content_hash=model.card.content_hash),
        RunInput(role="dataset", dataset_version_id=version.id, content_hash=version.content_hash),
        RunInput(role="template", template_version_id=template.id, content_hash=template.content_hash),
    ]
    if prepared.embedder is not None and cell.needs_embedder:
        card = prepared.embedder.card
        inputs.append(RunInput(role="embedder", model_id=prepared.embedder.id, content_hash=card.content_hash))
    settings = {"label": label(cell, prepared.cells), **cell_settings(cell, prepared.plan)}
    return runs.begin(
        session, queries.SYSTEM, inputs, settings, cell.seed, device=model.card.device or lab.config.device,
        dtype=model.card.loaded_dtype, parent_id=parent_id,
    ).id  # fmt: skip


def check_plan(lab: LabContext, plan: MatrixPlan) -> tuple[list[Cell], datasets.VersionView]:
    """The cells and the dataset version; raises LabError where a part does not exist or does not fit another."""
    version = datasets.show(lab, plan.dataset)
    labels = datasets.labels(lab, version.id)
    answered = "reference" in version.roles or "label" in version.roles
    for choice in plan.metrics:
        settings, metric = settings_of(choice.metric, choice.settings), METRICS.get(choice.metric)
        scorers.check(lab, choice.metric, settings)
        if requirements(metric, settings).references and not answered:
            raise LabError(
                f"{version.name} has neither references nor labels, which {metric.title} needs; map a column to one "
                "when importing, or choose another metric."
            )
    for name in plan.templates:
        bind(templates.show(lab, name).value, version.column_names, version.roles, labels)
    for name in plan.models:
        card = models.show(lab, name).card
        prompting.mode_of(card, plan.rendering)
    if plan.split not in version.splits:
        splits = ", ".join(f"{name} ({count:,})" for name, count in version.splits.items())
        raise LabError(f"{version.name} has no rows for {plan.split}. It has: {splits}.")
    if max(plan.shots) and plan.shot_split not in version.splits:
        raise LabError(f"{version.name} has no rows for {plan.shot_split}, which shots are to come from; split it.")
    return plan.cells(), version


def show(lab: LabContext, run_id: int) -> MatrixView:
    """Raises LabError where there is no such matrix."""
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, run_id)
        if run is None or run.kind != MATRIX:
            raise LabError(f"There is no matrix {run_id}; the prompt lab lists the existing ones.")
        cell_runs = queries.runs_of_kind(session, queries.SYSTEM, parent=run_id, limit=MOST_CELLS)[::-1]
        sizes = queries.counts(session, [item.id for item in cell_runs])
        scores = queries.scores(session, run_id)
        job = queries.job_of_run(session, run_id)
    scores_by_cell: dict[int, list[ScoreView]] = {}
    for item in scores:
        scores_by_cell.setdefault(item.source_run_id, []).append(score_view(item))
    cells = tuple(_cell_view(item, sizes.get(item.id, 0), scores_by_cell.get(item.id, [])) for item in cell_runs)
    return _view(run, cells, job)


def rerun(lab: LabContext, run_id: int) -> StartedMatrix:
    """The same plan again, each model in the dtype of then; what is remembered costs nothing."""
    view = show(lab, run_id)
    with lab.database.reading() as session:
        cells = queries.runs_of_kind(session, queries.SYSTEM, parent=run_id, limit=MOST_CELLS)
        dtypes = {cell.model_input.model.name: cell.dtype for cell in cells}
    prepared = prepare(lab, view.plan, dtypes)
    with lab.database.session() as session:
        return queue(lab, session, prepared, title=view.title)


def cancel(lab: LabContext, run_id: int) -> None:
    """Ends the job of the matrix; what it has answered stays."""
    view = show(lab, run_id)
    if view.job_id is not None:
        jobs.cancel(lab, view.job_id)


def count_remembered(view: MatrixView) -> str:
    """How much of it cost nothing, in a sentence; empty where all was computed."""
    cached, n = sum(cell.cached for cell in view.cells), sum(cell.system.n for cell in view.cells)
    if not cached:
        return ""
    if cached == n:
        return f"All {n:,} answers were remembered: this run cost nothing."
    return f"{cached:,} of {n:,} answers were remembered and cost nothing."


def fewer_shots(cell: CellView) -> list[str]:
    """Where the context held fewer shots than asked for, with the number of rows."""
    return [f"{k} of {cell.k} shots fit in {n:,} rows" for k, n in sorted(cell.fitted.items()) if int(k) < cell.k]


def find(lab: LabContext, limit: int = 50) -> list[MatrixView]:
    """Matrices, newest first, without their cells."""
    with lab.database.reading() as session:
        return [_view(run, (), None) for run in queries.runs_of_kind(session, MATRIX, limit=limit)]


def _cell_view(run: Run, n: int, scores: Sequence[ScoreView]) -> CellView:
    settings = run.settings
    return CellView(
        system=system_view(run, n),
        k=settings["k"],
        selector=settings["selector"],
        sampling=Sampling.from_dict(settings["sampling"]).as_dict(),
        seed=run.seed,
        fitted=settings.get("fitted", {}),
        cached=settings.get("cached", 0),
        seconds=run.seconds,
        scores=tuple(scores),
        error=run.error if run.status == "failed" else None,
    )


def _view(run: Run, cells: tuple[CellView, ...], job: int | None) -> MatrixView:
    plan = MatrixPlan.from_dict(run.settings["plan"])
    return MatrixView(
        id=run.id,
        title=run.settings["title"],
        status=run.status,
        error=run.error,
        created_at=run.created_at,
        dataset=dataset_name(run),
        plan=plan,
        rows=min(plan.rows, _split_rows(run, plan.split)),
        cells=cells,
        seed=run.seed,
        job_id=job,
    )


def _split_rows(run: Run, split: str) -> int:
    return next((item.dataset_version.splits.get(split, 0) for item in run.inputs if item.dataset_version_id), 0)
