"""Evaluations: up to six systems on the same dataset rows, measured side by side by a job.

A system is a Run of kind "predict": the completions of one model with one template and its shots for the rows of a
dataset version, or uploaded predictions. An evaluation is a Run of kind "evaluate" that reads systems and owns Scores.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.provenance import provenance
from genai_lab.services import jobs
from genai_lab.views import View
from storage import evaluation as queries
from storage import runs
from storage.tables import Run, RunInput, Score

MOST_SYSTEMS = 6
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Choice(View):
    """A metric of the family with its settings; what is left out has its default."""

    metric: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SystemView(View):
    """One column of an evaluation; `n` counts its completions."""

    id: int
    label: str
    model: str | None
    template: str | None
    dataset: str
    dataset_version_id: int
    settings: dict[str, Any]
    status: str
    n: int
    created_at: datetime


@dataclass(frozen=True)
class ScoreView(View):
    """One figure of one system with its 95 % interval."""

    _hidden = ("per_example",)
    system: int
    metric: str
    figure: str
    signature: str
    settings: dict[str, Any]
    value: float | None
    low: float | None
    high: float | None
    n: int
    per_example: list[Any] | None
    detail: dict[str, Any]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before the figure is believed, such as words that its tokenizer drops."""
        return tuple(self.detail.get("warnings", ()))


@dataclass(frozen=True)
class EvaluationView(View):
    """`baseline` is the system that the others are compared with; `scores` may still be filling."""

    id: int
    title: str
    status: str
    error: str | None
    created_at: datetime
    dataset: str
    dataset_version_id: int
    seed: int
    baseline: int
    choices: tuple[Choice, ...]
    systems: tuple[SystemView, ...]
    scores: tuple[ScoreView, ...]
    code_revision: str

    def system(self, run_id: int) -> SystemView:
        """Raises LabError for a system that is not among these."""
        for one in self.systems:
            if one.id == run_id:
                return one
        raise LabError(f"System {run_id} is not in evaluation {self.id}; choose one of its columns.")

    def figures(self) -> list[Key]:
        """(metric, figure, signature) in the order measured, each once."""
        return list(dict.fromkeys((one.metric, one.figure, one.signature) for one in self.scores))

    def score(self, key: Key, system: int) -> ScoreView:
        """Raises LabError where the figure was not measured for the system (yet)."""
        for one in self.scores:
            if one.system == system and (one.metric, one.figure, one.signature) == key:
                return one
        raise LabError(f"{key[0]} {key[1]} of system {system} has not been measured (yet).")


@dataclass(frozen=True)
class Started(View):
    run_id: int
    job_id: int


def systems(lab: LabContext, *, parent: int | None = None, limit: int = 200) -> list[SystemView]:
    """What can be evaluated, newest first."""
    with lab.database.reading() as session:
        found = queries.runs_of_kind(session, queries.SYSTEM, parent=parent, limit=limit)
        sizes = queries.counts(session, [run.id for run in found])
    return [system_view(run, sizes.get(run.id, 0)) for run in found if _input(run, "dataset_version_id")]


def start(
    lab: LabContext,
    run_ids: Sequence[int],
    choices: Sequence[Choice],
    *,
    baseline: int | None = None,
    seed: int = 0,
    title: str = "",
    depends_on: int | None = None,
    after: Sequence[int] = (),
    most: int = MOST_SYSTEMS,
) -> Started:
    """Queues an evaluation of these systems; raises LabError where they cannot be set side by side.

    It fails with the job `depends_on`, and begins when those of `after` have ended; systems that fail meanwhile are
    left out.
    """
    chosen = list(dict.fromkeys(run_ids))
    _checked(choices)
    with lab.database.session() as session:
        found = [run for run_id in chosen if (run := queries.run_with_inputs(session, run_id)) is not None]
        missing = set(chosen) - {run.id for run in found}
        _same_rows(found, missing, baseline, most)
        version = _input(found[0], "dataset_version_id")
        inputs = [
            RunInput(role=f"system {place}", source_run_id=run.id, content_hash=None)
            for place, run in enumerate(found, 1)
        ]
        settings = {
            "title": title or ", ".join(one.metric for one in choices),
            "metrics": [asdict(one) for one in choices],
            "systems": chosen,
            "baseline": baseline or chosen[0],
        }
        made = provenance()
        run = runs.add_run(
            session,
            [*inputs, RunInput(role="dataset", dataset_version_id=version, content_hash=_hash(found[0]))],
            kind=queries.EVALUATION,
            settings=settings,
            seed=seed,
            code_revision=made.revision,
            dirty=made.dirty,
            packages=made.packages,
            device=lab.config.device,
            status="running",
        )
        work = {"systems": chosen, "metrics": settings["metrics"], "seed": seed, "run": run.id}
        job = jobs.enqueue(
            lab,
            "evaluate",
            work,
            title=f"Evaluate {len(chosen)} system{'s' if len(chosen) > 1 else ''}: {settings['title']}",
            run_id=run.id,
            depends_on=depends_on,
            after=after,
            session=session,
        )
    return Started(run.id, job)


def show(lab: LabContext, run_id: int) -> EvaluationView:
    """Raises LabError where there is no such evaluation."""
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, run_id)
        if run is None or run.kind != queries.EVALUATION:
            raise LabError(f"There is no evaluation {run_id}; the Evaluate page lists those there are.")
        found = [queries.run_with_inputs(session, one) for one in run.settings["systems"]]
        sizes = queries.counts(session, run.settings["systems"])
        kept = queries.scores(session, run_id)
    return _evaluation(run, [system_view(one, sizes.get(one.id, 0)) for one in found if one is not None], kept)


def find(lab: LabContext, limit: int = 50) -> list[EvaluationView]:
    """Evaluations, newest first, without their scores."""
    with lab.database.reading() as session:
        found = queries.runs_of_kind(session, queries.EVALUATION, limit=limit)
        ids = {one for run in found for one in run.settings["systems"]}
        parts = {one: run for one in ids if (run := queries.run_with_inputs(session, one)) is not None}
        sizes = queries.counts(session, list(parts))
    return [
        _evaluation(
            run, [system_view(parts[one], sizes.get(one, 0)) for one in run.settings["systems"] if one in parts], []
        )
        for run in found
    ]


def _checked(choices: Sequence[Choice]) -> None:
    from genai_lab.services.evaluation.scoring import settings_of

    if not choices:
        raise LabError("No metric is chosen; choose at least one.")
    for choice in choices:
        settings_of(choice)


def _same_rows(found: Sequence[Run], missing: set[int], baseline: int | None, most: int) -> None:
    if missing:
        raise LabError(f"There is no system {min(missing)}; the list of systems shows those there are.")
    if not 1 <= len(found) <= most:
        raise LabError(f"{len(found)} systems are chosen; an evaluation takes 1 to {most}.")
    for run in found:
        if run.kind != queries.SYSTEM:
            raise LabError(f"Run {run.id} holds no predictions for dataset rows; choose a cell of the prompt lab.")
    versions = {_input(run, "dataset_version_id") for run in found}
    if len(versions) > 1:
        names = sorted({dataset_name(run) for run in found})
        raise LabError(f"The systems answer different datasets ({', '.join(names)}); choose systems of one dataset.")
    if baseline is not None and baseline not in {run.id for run in found}:
        raise LabError(f"The baseline {baseline} is not among the systems; choose one of them.")


def _input(run: Run, column: str) -> int | None:
    return next((getattr(one, column) for one in run.inputs if getattr(one, column) is not None), None)


def _hash(run: Run) -> str | None:
    return next((one.content_hash for one in run.inputs if one.dataset_version_id is not None), None)


def dataset_name(run: Run) -> str:
    """The dataset version that the run reads, as NAME@2."""
    for one in run.inputs:
        if one.dataset_version_id is not None:
            return f"{one.dataset_version.dataset.name}@{one.dataset_version.number}"
    return "no dataset"


def system_view(run: Run, n: int) -> SystemView:
    """`n` is how many completions the run has."""
    model = next((one.model.name for one in run.inputs if one.model_id is not None), None)
    made = next((one.template_version for one in run.inputs if one.template_version_id is not None), None)
    template = f"{made.template.name}@{made.number}" if made is not None else None
    return SystemView(
        id=run.id,
        label=run.settings.get("label") or " · ".join(filter(None, (model, template))) or f"system {run.id}",
        model=model,
        template=template,
        dataset=dataset_name(run),
        dataset_version_id=_input(run, "dataset_version_id") or 0,
        settings=run.settings,
        status=run.status,
        n=n,
        created_at=run.created_at,
    )


def _evaluation(run: Run, found: Sequence[SystemView], kept: Sequence[Score]) -> EvaluationView:
    return EvaluationView(
        id=run.id,
        title=run.settings["title"],
        status=run.status,
        error=run.error,
        created_at=run.created_at,
        dataset=dataset_name(run),
        dataset_version_id=_input(run, "dataset_version_id") or 0,
        seed=run.seed,
        baseline=run.settings["baseline"],
        choices=tuple(Choice(**one) for one in run.settings["metrics"]),
        systems=tuple(found),
        scores=tuple(score_view(one) for one in kept),
        code_revision=run.code_revision,
    )


def score_view(row: Score) -> ScoreView:
    return ScoreView(
        row.source_run_id,
        row.metric,
        row.figure,
        row.signature,
        row.settings,
        row.value,
        row.low,
        row.high,
        row.n,
        row.per_example,
        row.detail,
    )
