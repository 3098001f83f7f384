"""Runs that belong together, and what is measured of them: bake-off, shots against tuning, sweep, forgetting, gate."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.models.sizing import device_of
from genai_lab.services import evaluation, jobs, matrix, models, runs, training
from genai_lab.services.evaluation import MetricSpec, suites
from genai_lab.services.training import StartedRun, TrainingView, estimates
from genai_lab.services.training.sweep_plans import MOST_RUNS, combinations, with_values
from genai_lab.training import TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.views import View
from storage import evaluation as queries
from storage import runs as run_queries
from storage.tables import Run

STUDY = "study"
HELD_OUT = "held out"
LARGEST_BATCH = 256


@dataclass(frozen=True)
class Held(View):
    """The held-out rows that a study measures its models on; greedy completions."""

    rows: int = 200
    split: str = "test"
    max_new_tokens: int = 64
    metrics: tuple[MetricSpec, ...] = (MetricSpec("rouge", {"lsum": False}),)
    seed: int = 0

    @property
    def sampling(self) -> Sampling:
        return Sampling(greedy=True, max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True)
class StudyView(View):
    """`settings` tells what it is made of; `evaluations` are those that it has begun, by what they are about."""

    id: int
    kind: str
    title: str
    settings: dict[str, Any]
    evaluations: dict[str, int]
    created_at: datetime
    runs: tuple[TrainingView, ...]


class StudyDraft:
    """A study while it is being queued: its runs, its evaluations by what they are about, and every job of them."""

    def __init__(self, lab: LabContext, number: int) -> None:
        self.lab, self.id = lab, number
        self.runs: list[int] = []
        self.evaluations: dict[str, int] = {}
        self.jobs: list[int] = []

    def train(self, ready: Sequence[training.CheckedPlan], titles: Sequence[str]) -> list[StartedRun]:
        started = []
        for plan, title in zip(ready, titles, strict=True):
            started.append(training.start(self.lab, plan, title=title, parent=self.id))
            self.runs.append(started[-1].run_id)
            self.jobs.append(started[-1].job_id)
        return started

    def answer(
        self, plan: matrix.MatrixPlan, title: str, trained: Sequence[StartedRun] = (), after: Sequence[int] = ()
    ) -> matrix.StartedMatrix:
        """Completions of these models, once they have been made."""
        cells = matrix.start(self.lab, plan, title=title, after=[*(run.job_id for run in trained), *after])
        self.jobs.append(cells.job_id)
        return cells

    def evaluate(self, name: str, cells: Sequence[int], test_set: Held, title: str, **options: Any) -> None:
        self.keep(name, evaluation.start(self.lab, cells, test_set.metrics, seed=test_set.seed, title=title, **options))

    def run_models(
        self,
        name: str,
        plan: matrix.MatrixPlan,
        title: str,
        made: Sequence[StartedRun] = (),
        after: Sequence[int] = (),
        **settings: Any,
    ) -> None:
        """Completions of these models, once they have been trained, and their evaluation."""
        jobs_before = [*(one.job_id for one in made), *after]
        self.keep_models(name, evaluation.run_models(self.lab, plan, title=title, after=jobs_before, **settings))

    def keep_models(self, name: str, queued: evaluation.ModelsStarted) -> None:
        self.jobs.append(queued.matrix.job_id)
        self.keep(name, queued)

    def keep(self, name: str, started: evaluation.StartedEvaluation) -> None:
        self.evaluations[name] = started.run_id
        self.jobs.append(started.job_id)


def sweep(
    lab: LabContext, plan: TrainingPlan, grid: Mapping[str, Sequence[Any]], *, draws: int = 0, title: str = ""
) -> int:
    """A run for every combination of the grid's values, or for `draws` of them drawn with the plan's seed.

    A name is a path in the plan, such as training.learning_rate or method_settings.rank. Returns the study.
    """
    values = {
        name: list({repr(one): one for one in choices}.values()) for name, choices in grid.items() if len(choices)
    }
    if not values:
        raise LabError("The sweep varies nothing; give at least one setting with two values.")
    if not 0 <= draws <= MOST_RUNS:
        raise BadSetting("draws", draws, f"a whole number from 0 (every combination) to {MOST_RUNS}")
    every = combinations(values, draws, plan.training.seed)
    ready = [training.check(lab, with_values(plan, one)) for one in every]
    titles = [", ".join(f"{_last(name)} {value}" for name, value in combination.items()) for combination in every]
    settings = {"grid": values, "draws": draws}
    with queued_study(lab, "sweep", title or f"Sweep of {', '.join(values)}", settings) as study:
        study.train(ready, titles)
    return study.id


def bake_off(
    lab: LabContext,
    plan: TrainingPlan,
    methods: Sequence[str],
    test_set: Held,
    *,
    memory: int | None = None,
    title: str = "",
) -> int:
    """Trains with each method, at equal steps or within equal `memory` in bytes, and measures all on held-out rows.

    Every method learns at its own rate unless the plan gives one. Within a memory, each takes the largest batch that
    is foreseen to fit. Returns the study.
    """
    if not methods:
        raise LabError("No method is chosen; choose at least one.")
    _measurable(lab, plan, test_set)
    plans = _by_method(plan, methods)
    if memory is not None:
        plans = [_within(lab, each, memory) for each in plans]
    ready = [training.check(lab, each) for each in plans]
    budget = "equal memory" if memory is not None else "equal steps"
    settings = {"methods": list(methods), "memory": memory, "budget": budget}
    with queued_study(lab, "bake-off", title or f"{len(plans)} methods at {budget}", settings) as study:
        trained = study.train(ready, [METHODS.get(each.method).title for each in plans])
        matrix_plan = _matrix_plan(plan, [plan.model, *(each.model for each in trained)], test_set)
        full = next((index for index, each in enumerate(plans, 1) if METHODS.get(each.method).trains_everything), 0)
        study.run_models(HELD_OUT, matrix_plan, f"Bake-off {study.id}", trained, baseline_cell=full, most=MOST_RUNS)
    return study.id


def shots_against_tuning(
    lab: LabContext,
    plan: TrainingPlan,
    shots: Sequence[int],
    methods: Sequence[str],
    test_set: Held,
    *,
    title: str = "",
) -> int:
    """The base with so many shots, and tuned by each method without any, on the same held-out rows."""
    if not shots or not methods:
        raise LabError("The study needs at least one number of shots and one method.")
    if len(set(shots)) + len(set(methods)) > evaluation.MOST_SYSTEMS:
        raise LabError(f"{len(shots)} numbers of shots and {len(methods)} methods are more than six systems.")
    numbers = tuple(dict.fromkeys(shots))
    _measurable(lab, plan, test_set, numbers)
    plans = _by_method(plan, methods)
    ready = [training.check(lab, each) for each in plans]
    settings = {"shots": list(numbers), "methods": list(methods)}
    with queued_study(lab, "shots", title or "Shots against tuning", settings) as study:
        trained = study.train(ready, [METHODS.get(each.method).title for each in plans])
        base = study.answer(_matrix_plan(plan, [plan.model], test_set, numbers), f"Shots {study.id}")
        tuned = study.answer(
            _matrix_plan(plan, [each.model for each in trained], test_set), f"Tuned {study.id}", trained
        )
        cells, jobs_before = [*base.cells, *tuned.cells], {"depends_on": tuned.job_id, "after": [base.job_id]}
        study.evaluate(HELD_OUT, cells, test_set, f"Shots against tuning {study.id}", **jobs_before)
    return study.id


def forgetting(lab: LabContext, base: str, tuned: Sequence[str], names: Sequence[str], *, title: str = "") -> int:
    """Base and tuned models on each of the suites, so that what was forgotten can be seen. Returns the study."""
    compared = [name for name in dict.fromkeys(tuned) if name != base]
    if not compared or not names:
        raise LabError("Choose at least one tuned model and one suite.")
    if len(compared) >= evaluation.MOST_SYSTEMS:
        raise LabError(f"{len(compared)} tuned models are too many; five fit beside the base.")
    names = tuple(dict.fromkeys(names))
    for name in names:
        matrix.check_plan(lab, suites.suite_plan(lab, name, [base, *compared]))
    after = _jobs_that_make(lab, compared)
    settings = {"base": base, "tuned": compared}
    with queued_study(lab, "forgetting", title or f"What {', '.join(compared)} forgot", settings) as study:
        for name in names:
            study.keep_models(name, suites.run(lab, name, [base, *compared], after=after))
    return study.id


def gate(lab: LabContext, evaluations: Sequence[int], base: str, tuned: str, *, title: str = "") -> int:
    """Runs saved evaluations again with the tuned model in the base's place; `verdicts` tells what got worse."""
    if not evaluations:
        raise LabError("No evaluation is chosen; choose at least one that the base took part in.")
    plans = {one: _again(lab, one, base, tuned) for one in dict.fromkeys(evaluations)}
    for _, plan in plans.values():
        matrix.check_plan(lab, plan)
    after = _jobs_that_make(lab, [tuned])
    with queued_study(lab, "gate", title or f"Gate of {tuned}", {"base": base, "tuned": [tuned]}) as study:
        for number, (old, plan) in plans.items():
            view = evaluation.show(lab, number)
            called, name = f"Gate {study.id}: {view.title}", f"{view.title} ({number})"
            study.run_models(name, plan, called, beside=[old], baseline=old, seed=view.seed, after=after)
    return study.id


def start_gated(lab: LabContext, plan: TrainingPlan, evaluations: Sequence[int], **named: Any) -> StartedRun:
    """Begins a run, and the gate of its model where evaluations are named; neither where one of them cannot work."""
    if not evaluations:
        return training.start(lab, plan, **named)
    _writes(plan)
    for number in evaluations:
        matrix.check_plan(lab, _again(lab, number, plan.model, plan.model)[1])
    started = training.start(lab, plan, **named)
    try:
        gate(lab, evaluations, plan.model, started.model)
    except BaseException:
        jobs.cancel(lab, started.job_id)
        raise
    return started


def show(lab: LabContext, study_id: int) -> StudyView:
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, study_id)
    if run is None or run.kind != STUDY:
        raise LabError(f"There is no study {study_id}; the Fine-tune page lists the existing ones.")
    return _view(run, tuple(reversed(training.find(lab, parent=study_id))))


def find(lab: LabContext, limit: int = 50) -> list[StudyView]:
    """Studies, newest first, without their runs."""
    with lab.database.reading() as session:
        return [_view(run, ()) for run in queries.runs_of_kind(session, STUDY, limit=limit)]


def _view(run: Run, children: tuple[TrainingView, ...]) -> StudyView:
    settings = run.settings
    return StudyView(
        run.id,
        settings["kind"],
        run.title or settings["kind"],
        settings,
        settings.get("evaluations", {}),
        run.created_at,
        children,
    )


def _add_study(lab: LabContext, kind: str, title: str, settings: dict[str, Any]) -> int:
    with lab.database.session() as session:
        return runs.begin(
            session,
            STUDY,
            [],
            title=title.strip()[:200],
            settings={"kind": kind, **settings},
            seed=0,
            device=device_of(lab.options),
        ).id


@contextmanager
def queued_study(lab: LabContext, kind: str, title: str, settings: dict[str, Any]) -> Iterator[StudyDraft]:
    """A study that is queued whole or not at all: on an error all of it is cancelled and the study is put away."""
    study = StudyDraft(lab, _add_study(lab, kind, title, settings))
    try:
        yield study
        with lab.database.session() as session:
            run = session.get_one(Run, study.id)
            links = {"runs": study.runs, "evaluations": study.evaluations}
            run.settings, run.status = run.settings | links, "finished"
    except BaseException:
        for job in study.jobs:
            jobs.cancel(lab, job)
        with lab.database.session() as session:
            session.get_one(Run, study.id).status = "cancelled"
            run_queries.set_deleted(session, [study.id], True)
        raise


def _by_method(plan: TrainingPlan, methods: Sequence[str]) -> list[TrainingPlan]:
    """The plan with each method; settings of its own go with the plan's."""
    settings_by_method = {plan.method: plan.method_settings}
    return [
        replace(plan, method=name, method_settings=settings_by_method.get(name, {})) for name in dict.fromkeys(methods)
    ]


def _writes(plan: TrainingPlan) -> None:
    objective = OBJECTIVES.get(plan.objective)
    if not objective.writes:
        raise LabError(f"{objective.title} makes no model that writes, and completions are measured; choose another.")


def _measurable(lab: LabContext, plan: TrainingPlan, test_set: Held, shots: tuple[int, ...] = (0,)) -> None:
    """Raises LabError where completions of the models could not be measured on the held-out rows."""
    _writes(plan)
    if not test_set.metrics:
        raise LabError("No metric is chosen; choose at least one.")
    matrix.check_plan(lab, _matrix_plan(plan, [plan.model], test_set, shots))


def _last(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ")


def _within(lab: LabContext, plan: TrainingPlan, memory: int) -> TrainingPlan:
    """The plan with the largest batch, a power of two, whose estimated peak stays within `memory` bytes."""
    resolved, batch = training.resolve(lab, plan), 1
    best: TrainingPlan | None = None
    while batch <= LARGEST_BATCH:
        larger = replace(plan, training=replace(plan.training, per_device_batch_size=batch))
        if estimates.estimate(lab, replace(resolved, plan=larger)).memory.peak > memory:
            break
        best, batch = larger, batch * 2
    if best is None:
        raise LabError(f"{METHODS.get(plan.method).title} does not fit into that memory even with a batch of 1.")
    return best


def _matrix_plan(
    plan: TrainingPlan, names: Sequence[str], test_set: Held, shots: tuple[int, ...] = (0,)
) -> matrix.MatrixPlan:
    part = plan.data[0]
    if not part.templates:
        raise LabError("Measuring completions needs a template; choose one for the first dataset.")
    return matrix.MatrixPlan(
        dataset=part.dataset,
        models=tuple(names),
        templates=(part.templates[0],),
        shots=shots,
        samplings=(test_set.sampling,),
        rows=test_set.rows,
        sample_seed=test_set.seed,
        split=test_set.split,
        metrics=test_set.metrics,
    )


def _jobs_that_make(lab: LabContext, names: Sequence[str]) -> list[int]:
    """The live jobs whose models these are."""
    views = [models.show(lab, name) for name in names]
    runs_of_models = [
        training.show(lab, view.made_by_run) for view in views if view.status == "training" and view.made_by_run
    ]
    return [one.job.id for one in runs_of_models if one.job is not None]


def _again(lab: LabContext, number: int, base: str, tuned: str) -> tuple[int, matrix.MatrixPlan]:
    """(the base's system in a saved evaluation, the plan that answers the same rows with the tuned model)."""
    view = evaluation.show(lab, number)
    system = next((candidate for candidate in view.systems if candidate.model == base and candidate.template), None)
    if system is None or "sampling" not in system.settings:
        raise LabError(f"Evaluation {number} ({view.title}) has no system of {base} that could run again.")
    settings = system.settings
    plan = matrix.MatrixPlan(
        dataset=system.dataset,
        models=(tuned,),
        templates=(system.template or "",),
        shots=(settings["k"],),
        selectors=(settings["selector"] or "first",),
        samplings=(Sampling.from_dict(settings["sampling"]),),
        seeds=(settings["sampling"].get("seed") or 0,),
        rows=settings["rows"],
        sample_seed=settings["sample_seed"],
        split=settings["split"],
        shot_split=settings["shot_split"],
        fixed=tuple(settings["fixed"]),
        rendering=settings["rendering"],
        metrics=view.choices,
        num_return_sequences=settings.get("completions_per_row", 1),
    )
    return system.id, plan
