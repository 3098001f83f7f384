"""The matrix: models x templates x shots x settings x seeds over the same rows, as one job.

A cell is a Run of kind "predict" below the matrix' own; its completions and scores come in while the job runs.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.metrics import METRICS
from genai_lab.prompts import bind
from genai_lab.prompts.few_shot import ShotSettings
from genai_lab.provenance import provenance
from genai_lab.services import datasets, jobs, models, prompting, templates
from genai_lab.services.evaluation import Choice, ScoreView, SystemView, dataset_name, score_view, system_view
from genai_lab.views import View
from storage import evaluation as queries
from storage import runs
from storage.tables import Run, RunInput

MATRIX = "matrix"
MOST_CELLS = 200
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Plan(View):
    """What is to be tried. Every combination is a cell; all cells answer the same rows of the dataset.

    `rows` are drawn from `split` with `sample_seed`; shots come from `shot_split`. A seed draws shots and tokens.
    """

    dataset: str
    models: tuple[str, ...]
    templates: tuple[str, ...]
    shots: tuple[int, ...] = (0,)
    selectors: tuple[str, ...] = ("random",)
    samplings: tuple[Sampling, ...] = (Sampling(greedy=True),)
    seeds: tuple[int, ...] = (0,)
    rows: int = 100
    sample_seed: int = 0
    split: str = "test"
    shot_split: str = "train"
    fixed: tuple[int, ...] = ()
    rendering: prompting.Rendering = "by model"
    use_cache: bool = True
    metrics: tuple[Choice, ...] = (Choice("exact_match"),)

    def __post_init__(self) -> None:
        for name in ("models", "templates", "shots", "selectors", "samplings", "seeds"):
            if not getattr(self, name):
                raise LabError(f"The matrix has no {name}; choose at least one.")
        if not 1 <= self.rows <= MOST_ROWS:
            raise BadSetting("rows", self.rows, f"a whole number from 1 to {MOST_ROWS:,}")
        if self.rendering not in prompting.RENDERINGS:
            raise BadSetting("form", self.rendering, f"one of {', '.join(prompting.RENDERINGS)}")
        for selector, k, seed in itertools.product(self.selectors, self.shots, self.seeds):
            ShotSettings(selector=selector, k=k, seed=seed, fixed=self.fixed)
            if selector == "fixed" and k > len(self.fixed):
                raise LabError(f"{k} fixed shots are asked for, but {len(self.fixed)} rows are named; name more.")
        if self.split == self.shot_split and max(self.shots):
            raise LabError(f"Rows and shots both come from {self.split}; choose another split for the shots.")

    def cells(self) -> "list[Cell]":
        """Every combination once: without shots their choice makes no difference, nor do seeds where all is greedy."""
        found: dict[Cell, None] = {}
        for model, template, k, selector, sampling, seed in itertools.product(
            self.models, self.templates, self.shots, self.selectors, self.samplings, self.seeds
        ):
            own = self.seeds[0] if sampling.greedy and not k else seed
            found[Cell(model, template, k, selector if k else "", _frozen(sampling.as_dict()), own)] = None
        if len(found) > MOST_CELLS:
            raise LabError(f"The matrix has {len(found):,} cells; at most {MOST_CELLS} can run at once.")
        return list(found)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"samplings": [one.as_dict() for one in self.samplings]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Plan":
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list | tuple)}
        lists["samplings"] = tuple(Sampling.from_dict(one) for one in values["samplings"])
        lists["metrics"] = tuple(Choice(**one) for one in values["metrics"])
        return cls(**values | lists)


@dataclass(frozen=True)
class Cell(View):
    """One combination; `settings` are the sampling settings, frozen."""

    model: str
    template: str
    k: int
    selector: str
    settings: tuple[tuple[str, Any], ...]
    seed: int

    @property
    def sampling(self) -> Sampling:
        return Sampling.from_dict(dict(self.settings) | {"seed": self.seed})

    @property
    def shots(self) -> ShotSettings:
        return ShotSettings(selector=self.selector or "first", k=self.k, seed=self.seed)


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
    plan: Plan
    rows: int
    cells: tuple[CellView, ...]
    seed: int
    job_id: int | None


@dataclass(frozen=True)
class Started(View):
    run_id: int
    job_id: int
    cells: tuple[int, ...]


def start(lab: LabContext, plan: Plan, *, title: str = "", priority: int = 0, after: Sequence[int] = ()) -> Started:
    """Queues the matrix; its runs are there at once. Raises LabError for whatever cannot work.

    It begins when the jobs of `after` have ended, such as those that make its models.
    """
    cells, version = checked(lab, plan)
    made = {name: templates.show(lab, name) for name in dict.fromkeys(cell.template for cell in cells)}
    known = {name: models.show(lab, name) for name in dict.fromkeys(cell.model for cell in cells)}
    title = title.strip()[:200] or f"{version.name}: {len(cells)} cell{'s' if len(cells) != 1 else ''}"
    with lab.database.session() as session:
        inputs = [RunInput(role="dataset", dataset_version_id=version.id, content_hash=version.content_hash)]
        settings = {"title": title, "plan": plan.as_dict()}
        parent = runs.add_run(session, inputs, kind=MATRIX, settings=settings, **_made(lab, plan.sample_seed))
        ids = []
        for cell in cells:
            view, model = made[cell.template], known[cell.model]
            inputs = [
                RunInput(role="model", model_id=model.id, content_hash=model.card.content_hash),
                RunInput(role="dataset", dataset_version_id=version.id, content_hash=version.content_hash),
                RunInput(role="template", template_version_id=view.id, content_hash=view.content_hash),
            ]
            settings = {"label": label(cell, cells), **cell_settings(cell, plan)}
            fields = _made(lab, cell.seed)
            ids.append(
                runs.add_run(session, inputs, kind=queries.SYSTEM, parent_id=parent.id, settings=settings, **fields).id
            )
        job = jobs.enqueue(
            lab,
            MATRIX,
            {"run": parent.id, "cells": ids, "plan": plan.as_dict()},
            title=f"Matrix: {title}",
            priority=priority,
            after=after,
            run_id=parent.id,
            session=session,
        )
    return Started(parent.id, job, tuple(ids))


def checked(lab: LabContext, plan: Plan) -> tuple[list[Cell], datasets.VersionView]:
    """The cells and the dataset version; raises LabError where a part does not exist or does not fit another."""
    from genai_lab.services.evaluation.scoring import settings_of

    version = datasets.show(lab, plan.dataset)
    labels = datasets.labels(lab, version.id)
    answered = "reference" in version.roles or "label" in version.roles
    for choice in plan.metrics:
        settings_of(choice)
        metric = METRICS.get(choice.metric)
        if metric.needs in ("references", "labels") and not answered:
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
        known = ", ".join(f"{name} ({count:,})" for name, count in version.splits.items())
        raise LabError(f"{version.name} has no rows for {plan.split}. It has: {known}.")
    if max(plan.shots) and plan.shot_split not in version.splits:
        raise LabError(f"{version.name} has no rows for {plan.shot_split}, which shots are to come from; split it.")
    return plan.cells(), version


def show(lab: LabContext, run_id: int) -> MatrixView:
    """Raises LabError where there is no such matrix."""
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, run_id)
        if run is None or run.kind != MATRIX:
            raise LabError(f"There is no matrix {run_id}; the prompt lab lists those there are.")
        found = queries.runs_of_kind(session, queries.SYSTEM, parent=run_id, limit=MOST_CELLS)[::-1]
        sizes = queries.counts(session, [one.id for one in found])
        scores = queries.scores(session, run_id)
        job = queries.job_of_run(session, run_id)
    kept: dict[int, list[ScoreView]] = {}
    for one in scores:
        kept.setdefault(one.source_run_id, []).append(score_view(one))
    cells = tuple(_cell_view(one, sizes.get(one.id, 0), kept.get(one.id, [])) for one in found)
    return _view(run, cells, job)


def rerun(lab: LabContext, run_id: int) -> Started:
    """The same plan again; what is remembered costs nothing."""
    view = show(lab, run_id)
    return start(lab, view.plan, title=view.title)


def cancel(lab: LabContext, run_id: int) -> None:
    """Ends the job of the matrix; what it has answered stays."""
    view = show(lab, run_id)
    if view.job_id is not None:
        jobs.cancel(lab, view.job_id)


def remembered(view: MatrixView) -> str:
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


def label(cell: Cell, cells: Sequence[Cell]) -> str:
    """What tells the cell from the others: only what differs, the model at least."""
    words = [cell.model]
    if len({one.template for one in cells}) > 1:
        words.append(cell.template)
    if len({one.k for one in cells}) > 1 or cell.k:
        words.append(f"{cell.k} shots" if cell.k != 1 else "1 shot")
    if len({one.selector for one in cells if one.k}) > 1 and cell.k:
        words.append(cell.selector)
    settings = [dict(one.settings) for one in cells]
    for name, value in cell.settings:
        if name != "seed" and len({repr(one[name]) for one in settings}) > 1:
            words.append(f"{name.replace('_', ' ')} {value}")
    if len({one.seed for one in cells}) > 1:
        words.append(f"seed {cell.seed}")
    return " · ".join(words)


def cell_settings(cell: Cell, plan: Plan) -> dict[str, Any]:
    """What the run of a cell keeps beside its inputs."""
    return {
        "k": cell.k,
        "selector": cell.selector,
        # Cells with and without shots end their text at the same place, or they could not be compared.
        "most_shots": max(plan.shots),
        "sampling": cell.sampling.as_dict(),
        "split": plan.split,
        "shot_split": plan.shot_split,
        "rows": plan.rows,
        "sample_seed": plan.sample_seed,
        "rendering": plan.rendering,
        "fixed": list(plan.fixed),
    }


def _made(lab: LabContext, seed: int) -> dict[str, Any]:
    made = provenance()
    return {
        "seed": seed,
        "code_revision": made.revision,
        "dirty": made.dirty,
        "packages": made.packages,
        "device": lab.config.device,
        "status": "running",
    }


def _frozen(settings: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    kept = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return tuple(sorted((kept | {"seed": None}).items()))


def _cell_view(run: Run, n: int, scores: Sequence[ScoreView]) -> CellView:
    kept = run.settings
    return CellView(
        system=system_view(run, n),
        k=kept["k"],
        selector=kept["selector"],
        sampling=kept["sampling"],
        seed=run.seed,
        fitted=kept.get("fitted", {}),
        cached=kept.get("cached", 0),
        seconds=run.seconds,
        scores=tuple(scores),
        error=run.error if run.status == "failed" else None,
    )


def _view(run: Run, cells: tuple[CellView, ...], job: int | None) -> MatrixView:
    plan = Plan.from_dict(run.settings["plan"])
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
    return next((one.dataset_version.splits.get(split, 0) for one in run.inputs if one.dataset_version_id), 0)
