"""Evaluations: up to six systems on the same dataset rows, measured side by side by a job.

A system is a Run of kind "predict": the completions of one model with one template and its shots for the rows of a
dataset version, or uploaded predictions. An evaluation is a Run of kind "evaluate" that reads systems and owns Scores.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import MetricSpec, settings_of
from genai_lab.models.sizing import device_of
from genai_lab.services import jobs, runs, scorers
from genai_lab.services.predictions import Key, ScoreView, SystemView, dataset_name, input_of, score_view, system_view
from genai_lab.views import View
from storage import evaluation as queries
from storage.tables import Run, RunInput, Score

MOST_SYSTEMS = 6


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
    choices: tuple[MetricSpec, ...]
    systems: tuple[SystemView, ...]
    scores: tuple[ScoreView, ...]
    code_revision: str

    def system(self, run_id: int) -> SystemView:
        """Raises LabError for a system that is not among these."""
        for view in self.systems:
            if view.id == run_id:
                return view
        raise LabError(f"System {run_id} is not in evaluation {self.id}; choose one of its columns.")

    def figures(self) -> list[Key]:
        """(metric, figure, signature) in the order measured, each once."""
        return list(dict.fromkeys((score.metric, score.figure, score.signature) for score in self.scores))

    def score(self, key: Key, system: int) -> ScoreView:
        """Raises LabError where the figure was not measured for the system (yet)."""
        for item in self.scores:
            if item.system == system and (item.metric, item.figure, item.signature) == key:
                return item
        raise LabError(f"{key[0]} {key[1]} of system {system} has not been measured (yet).")


@dataclass(frozen=True)
class StartedEvaluation(View):
    run_id: int
    job_id: int


def systems(lab: LabContext, *, parent: int | None = None, limit: int = 200) -> list[SystemView]:
    """What can be evaluated, newest first."""
    with lab.database.reading() as session:
        runs_found = queries.runs_of_kind(session, queries.SYSTEM, parent=parent, limit=limit)
        sizes = queries.counts(session, [run.id for run in runs_found])
    return [system_view(run, sizes.get(run.id, 0)) for run in runs_found if input_of(run, "dataset_version_id")]


def start(
    lab: LabContext,
    run_ids: Sequence[int],
    choices: Sequence[MetricSpec],
    *,
    baseline: int | None = None,
    seed: int = 0,
    title: str = "",
    depends_on: int | None = None,
    after: Sequence[int] = (),
    most: int = MOST_SYSTEMS,
    session: Session | None = None,
) -> StartedEvaluation:
    """Queues an evaluation of these systems; raises LabError where they cannot be set side by side.

    It fails with the job `depends_on`, and begins when those of `after` have ended; systems that fail meanwhile are
    left out. With `session` it joins the caller's transaction.
    """
    run_ids = list(dict.fromkeys(run_ids))
    _check_choices(choices)
    settings = {
        "title": title or ", ".join(choice.metric for choice in choices),
        "metrics": [asdict(choice) for choice in choices],
        "systems": run_ids,
        "baseline": baseline or next(iter(run_ids), None),
    }
    with lab.database.session(session) as transaction:
        runs_read = [queries.run_with_inputs(transaction, run_id) for run_id in run_ids]
        systems = [run for run in runs_read if run is not None]
        _check_comparable(systems, set(run_ids) - {run.id for run in systems}, baseline, most)
        run_id = _add_run(lab, transaction, systems, settings, seed, scorers.dtype_of(lab, choices))
        job = jobs.enqueue(
            lab,
            "evaluate",
            {"systems": run_ids, "metrics": settings["metrics"], "seed": seed, "run": run_id},
            title=f"Evaluate {len(run_ids)} system{'s' if len(run_ids) > 1 else ''}: {settings['title']}",
            run_id=run_id,
            depends_on=depends_on,
            after=after,
            session=transaction,
        )
    return StartedEvaluation(run_id, job)


def _add_run(
    lab: LabContext, session: Session, systems: Sequence[Run], settings: dict[str, Any], seed: int, dtype: str | None
) -> int:
    version_id = input_of(systems[0], "dataset_version_id")
    inputs = [
        RunInput(role=f"system {number}", source_run_id=run.id, content_hash=None)
        for number, run in enumerate(systems, 1)
    ]
    inputs.append(RunInput(role="dataset", dataset_version_id=version_id, content_hash=_dataset_hash(systems[0])))
    return runs.begin(
        session, queries.EVALUATION, inputs, settings, seed, device=device_of(lab.options), dtype=dtype
    ).id


def show(lab: LabContext, run_id: int) -> EvaluationView:
    """Raises LabError where there is no such evaluation."""
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, run_id)
        if run is None or run.kind != queries.EVALUATION:
            raise LabError(f"There is no evaluation {run_id}; the Evaluate page lists the existing ones.")
        system_runs = [queries.run_with_inputs(session, item) for item in run.settings["systems"]]
        sizes = queries.counts(session, run.settings["systems"])
        scores = queries.scores(session, run_id)
    return _evaluation(
        run, [system_view(item, sizes.get(item.id, 0)) for item in system_runs if item is not None], scores
    )


def find(lab: LabContext, limit: int = 50) -> list[EvaluationView]:
    """Evaluations, newest first, without their scores."""
    with lab.database.reading() as session:
        evaluations = queries.runs_of_kind(session, queries.EVALUATION, limit=limit)
        ids = {run_id for run in evaluations for run_id in run.settings["systems"]}
        system_runs = {run_id: run for run_id in ids if (run := queries.run_with_inputs(session, run_id)) is not None}
        sizes = queries.counts(session, list(system_runs))
    return [
        _evaluation(
            run,
            [
                system_view(system_runs[run_id], sizes.get(run_id, 0))
                for run_id in run.settings["systems"]
                if run_id in system_runs
            ],
            [],
        )
        for run in evaluations
    ]


def _check_choices(choices: Sequence[MetricSpec]) -> None:
    if not choices:
        raise LabError("No metric is chosen; choose at least one.")
    for choice in choices:
        settings_of(choice.metric, choice.settings)


def _check_comparable(systems: Sequence[Run], missing: set[int], baseline: int | None, most: int) -> None:
    if missing:
        raise LabError(f"There is no system {min(missing)}; the list of systems shows those there are.")
    if not 1 <= len(systems) <= most:
        raise LabError(f"{len(systems)} systems are chosen; an evaluation takes 1 to {most}.")
    for run in systems:
        if run.kind != queries.SYSTEM:
            raise LabError(f"Run {run.id} holds no predictions for dataset rows; choose a cell of the prompt lab.")
    versions = {input_of(run, "dataset_version_id") for run in systems}
    if len(versions) > 1:
        names = sorted({dataset_name(run) for run in systems})
        raise LabError(f"The systems answer different datasets ({', '.join(names)}); choose systems of one dataset.")
    if baseline is not None and baseline not in {run.id for run in systems}:
        raise LabError(f"The baseline {baseline} is not among the systems; choose one of them.")


def _dataset_hash(run: Run) -> str | None:
    return next((item.content_hash for item in run.inputs if item.dataset_version_id is not None), None)


def _evaluation(run: Run, systems: Sequence[SystemView], scores: Sequence[Score]) -> EvaluationView:
    return EvaluationView(
        id=run.id,
        title=run.settings["title"],
        status=run.status,
        error=run.error,
        created_at=run.created_at,
        dataset=dataset_name(run),
        dataset_version_id=input_of(run, "dataset_version_id") or 0,
        seed=run.seed,
        baseline=run.settings["baseline"],
        choices=tuple(MetricSpec(**item) for item in run.settings["metrics"]),
        systems=tuple(systems),
        scores=tuple(score_view(item) for item in scores),
        code_revision=run.code_revision,
    )
