"""Runs that belong together, and what is measured of them: bake-off, shots against tuning, sweep, forgetting, gate."""

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.lab import Lab
from genai_lab.provenance import provenance
from genai_lab.services import evaluation, matrix, models, training
from genai_lab.services.evaluation import Choice, suites
from genai_lab.services.training import Started, TrainingView, estimating, preparing
from genai_lab.training import Plan
from genai_lab.training.methods import METHODS
from storage import evaluation as queries
from storage import runs
from storage.tables import Run

STUDY = "study"
MOST_RUNS = 24
LARGEST_BATCH = 256


@dataclass(frozen=True)
class Held:
    """The held-out rows that a study measures its models on; greedy completions."""

    rows: int = 200
    split: str = "test"
    max_new_tokens: int = 64
    metrics: tuple[Choice, ...] = (Choice("rouge", {"lsum": False}),)
    seed: int = 0

    @property
    def sampling(self) -> Sampling:
        return Sampling(greedy=True, max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True)
class StudyView:
    """`settings` tells what it is made of; `evaluations` are those that it has begun, by what they are about."""

    id: int
    kind: str
    title: str
    settings: dict[str, Any]
    evaluations: dict[str, int]
    created_at: datetime
    runs: tuple[TrainingView, ...]


def sweep(lab: Lab, plan: Plan, grid: Mapping[str, Sequence[Any]], *, draws: int = 0, title: str = "") -> int:
    """A run for every combination of the grid's values, or for `draws` of them drawn with the plan's seed.

    A name is a path in the plan, such as training.learning_rate or method_settings.rank. Returns the study.
    """
    values = {name: list(dict.fromkeys(given)) for name, given in grid.items() if len(given)}
    if not values:
        raise LabError("The sweep varies nothing; give at least one setting with two values.")
    every = [dict(zip(values, one, strict=True)) for one in itertools.product(*values.values())]
    if draws and draws < len(every):
        every = random.Random(f"sweep {plan.training.seed}").sample(every, draws)
    if len(every) > MOST_RUNS:
        raise LabError(f"The sweep has {len(every):,} runs; at most {MOST_RUNS} can be begun, or draw some of them.")
    plans = [changed(plan, one) for one in every]
    for one in plans:
        preparing.known(lab, one)
    study = begin(lab, "sweep", title or f"Sweep of {', '.join(values)}", {"grid": values, "draws": draws})
    begun = [
        training.start(lab, one, title=", ".join(f"{_last(name)} {value}" for name, value in own.items()), parent=study)
        for one, own in zip(plans, every, strict=True)
    ]
    settled(lab, study, {"runs": [one.run_id for one in begun]})
    return study


def changed(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """The plan with other values at these paths; raises LabError for a path that it does not have."""
    kept = plan.as_dict()
    for path, value in values.items():
        place, (*above, last) = kept, path.split(".")
        for name in above:
            if not isinstance(place.get(name), dict):
                raise BadSetting("path", path, "one such as training.learning_rate or method_settings.rank")
            place = place[name]
        if last not in place and above[:1] != ["method_settings"] and above[:1] != ["objective_settings"]:
            raise BadSetting("path", path, "one such as training.learning_rate or method_settings.rank")
        place[last] = value
    return Plan.from_dict(kept)


def bake_off(
    lab: Lab, plan: Plan, methods: Sequence[str], held: Held, *, memory: int | None = None, title: str = ""
) -> int:
    """Trains with each method, at equal steps or within equal `memory` in bytes, and measures all on held-out rows.

    Every method learns at its own rate unless the plan gives one. Within a memory, each takes the largest batch that
    is foreseen to fit. Returns the study.
    """
    if not methods:
        raise LabError("No method is chosen; choose at least one.")
    plans = [replace(plan, method=name, method_settings=_own(plan, name)) for name in dict.fromkeys(methods)]
    if memory is not None:
        plans = [_within(lab, one, memory) for one in plans]
    for one in plans:
        preparing.known(lab, one)
    budget = "equal memory" if memory is not None else "equal steps"
    settings = {"methods": list(methods), "memory": memory, "budget": budget}
    study = begin(lab, "bake-off", title or f"{len(plans)} methods at {budget}", settings)
    begun = [training.start(lab, one, title=METHODS.get(one.method).title, parent=study) for one in plans]
    names = [plan.model, *(one.model for one in begun)]
    cells = _predicted(lab, plan, names, held, begun, f"Bake-off {study}")
    full = next((place for place, one in enumerate(plans, 1) if one.method == "full"), 0)
    made = evaluation.start(
        lab,
        cells.cells,
        held.metrics,
        baseline=cells.cells[full],
        seed=held.seed,
        title=f"Bake-off {study}",
        depends_on=cells.job_id,
        most=MOST_RUNS,
    )
    settled(lab, study, {"runs": [one.run_id for one in begun], "evaluations": {"held out": made.run_id}})
    return study


def shots_against_tuning(
    lab: Lab, plan: Plan, shots: Sequence[int], methods: Sequence[str], held: Held, *, title: str = ""
) -> int:
    """The base with so many shots, and tuned by each method without any, on the same held-out rows."""
    if not shots or not methods:
        raise LabError("The study needs at least one number of shots and one method.")
    if len(set(shots)) + len(set(methods)) > evaluation.MOST_SYSTEMS:
        raise LabError(f"{len(shots)} numbers of shots and {len(methods)} methods are more than six systems.")
    plans = [replace(plan, method=name, method_settings=_own(plan, name)) for name in dict.fromkeys(methods)]
    for one in plans:
        preparing.known(lab, one)
    study = begin(lab, "shots", title or "Shots against tuning", {"shots": list(shots), "methods": list(methods)})
    begun = [training.start(lab, one, title=METHODS.get(one.method).title, parent=study) for one in plans]
    base = _predicted(lab, plan, [plan.model], held, [], f"Shots {study}", tuple(dict.fromkeys(shots)))
    tuned = _predicted(lab, plan, [one.model for one in begun], held, begun, f"Tuned {study}")
    made = evaluation.start(
        lab,
        [*base.cells, *tuned.cells],
        held.metrics,
        seed=held.seed,
        title=f"Shots against tuning {study}",
        depends_on=tuned.job_id,
        after=[base.job_id],
    )
    settled(lab, study, {"runs": [one.run_id for one in begun], "evaluations": {"held out": made.run_id}})
    return study


def forgetting(lab: Lab, base: str, tuned: Sequence[str], names: Sequence[str], *, title: str = "") -> int:
    """Base and tuned models on each of the suites, so that what was forgotten can be seen. Returns the study."""
    chosen = [name for name in dict.fromkeys(tuned) if name != base]
    if not chosen or not names:
        raise LabError("Choose at least one tuned model and one suite.")
    if len(chosen) >= evaluation.MOST_SYSTEMS:
        raise LabError(f"{len(chosen)} tuned models are too many; five fit beside the base.")
    after = _jobs_that_make(lab, chosen)
    study = begin(lab, "forgetting", title or f"What {', '.join(chosen)} forgot", {"base": base, "tuned": chosen})
    made = {name: suites.run(lab, name, [base, *chosen], after=after).run_id for name in dict.fromkeys(names)}
    settled(lab, study, {"evaluations": made})
    return study


def gate(lab: Lab, evaluations: Sequence[int], base: str, tuned: str, *, title: str = "") -> int:
    """Runs saved evaluations again with the tuned model in the base's place; `verdicts` tells what got worse."""
    if not evaluations:
        raise LabError("No evaluation is chosen; choose at least one that the base took part in.")
    plans = {one: _again(lab, one, base, tuned) for one in dict.fromkeys(evaluations)}
    after = _jobs_that_make(lab, [tuned])
    study = begin(lab, "gate", title or f"Gate of {tuned}", {"base": base, "tuned": [tuned]})
    made: dict[str, int] = {}
    for number, (old, plan) in plans.items():
        view = evaluation.show(lab, number)
        cells = matrix.start(lab, plan, title=f"Gate {study}: {view.title}", after=after)
        begun = evaluation.start(
            lab, [old, cells.cells[0]], view.choices, baseline=old, seed=view.seed,
            title=f"Gate {study}: {view.title}", depends_on=cells.job_id,
        )  # fmt: skip
        made[f"{view.title} ({number})"] = begun.run_id
    settled(lab, study, {"evaluations": made})
    return study


def suits_gate(lab: Lab, number: int, base: str) -> None:
    """Raises LabError for an evaluation that could not run again with another model in the base's place."""
    _again(lab, number, base, base)


def show(lab: Lab, study_id: int) -> StudyView:
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, study_id)
    if run is None or run.kind != STUDY:
        raise LabError(f"There is no study {study_id}; the Fine-tune page lists those there are.")
    return _view(run, tuple(reversed(training.find(lab, parent=study_id))))


def find(lab: Lab, limit: int = 50) -> list[StudyView]:
    """Studies, newest first, without their runs."""
    with lab.database.reading() as session:
        return [_view(run, ()) for run in queries.runs_of_kind(session, STUDY, limit=limit)]


def _view(run: Run, children: tuple[TrainingView, ...]) -> StudyView:
    kept = run.settings
    return StudyView(
        run.id, kept["kind"], run.title or kept["kind"], kept, kept.get("evaluations", {}), run.created_at, children
    )


def begin(lab: Lab, kind: str, title: str, settings: dict[str, Any]) -> int:
    made = provenance()
    with lab.database.session() as session:
        return runs.add_run(
            session,
            [],
            kind=STUDY,
            title=title.strip()[:200],
            settings={"kind": kind, **settings},
            seed=0,
            code_revision=made.revision,
            dirty=made.dirty,
            packages=made.packages,
            device=lab.config.device,
            status="running",
        ).id


def settled(lab: Lab, study: int, more: dict[str, Any]) -> None:
    """All that belongs to the study has been queued."""
    with lab.database.session() as session:
        run = session.get_one(Run, study)
        run.settings, run.status = run.settings | more, "finished"


def _own(plan: Plan, method: str) -> dict[str, Any]:
    return plan.method_settings if method == plan.method else {}


def _last(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ")


def _within(lab: Lab, plan: Plan, memory: int) -> Plan:
    """The plan with the largest batch, a power of two, whose foreseen peak stays within `memory` bytes."""
    found = preparing.known(lab, plan)
    batch = 1
    best: Plan | None = None
    while batch <= LARGEST_BATCH:
        tried = replace(plan, training=replace(plan.training, batch=batch))
        if estimating.estimate(lab, tried, found).memory.peak > memory:
            break
        best, batch = tried, batch * 2
    if best is None:
        raise LabError(f"{METHODS.get(plan.method).title} does not fit into that memory even with a batch of 1.")
    return best


def _predicted(
    lab: Lab, plan: Plan, names: Sequence[str], held: Held, begun: Sequence[Started], title: str,
    shots: tuple[int, ...] = (0,),
) -> matrix.Started:  # fmt: skip
    part = plan.data[0]
    if not part.templates:
        raise LabError("Measuring completions needs a template; choose one for the first dataset.")
    asked = matrix.Plan(
        dataset=part.dataset,
        models=tuple(names),
        templates=(part.templates[0],),
        shots=shots,
        samplings=(held.sampling,),
        rows=held.rows,
        sample_seed=held.seed,
        split=held.split,
        metrics=held.metrics,
    )
    return matrix.start(lab, asked, title=title, after=[one.job_id for one in begun])


def _jobs_that_make(lab: Lab, names: Sequence[str]) -> list[int]:
    """The live jobs whose models these are."""
    views = [models.show(lab, name) for name in names]
    made = [training.show(lab, view.made_by_run) for view in views if view.status == "training" and view.made_by_run]
    return [one.job.id for one in made if one.job is not None]


def _again(lab: Lab, number: int, base: str, tuned: str) -> tuple[int, matrix.Plan]:
    """(the base's system in a saved evaluation, the plan that answers the same rows with the tuned model)."""
    view = evaluation.show(lab, number)
    system = next((one for one in view.systems if one.model == base and one.template), None)
    if system is None or "sampling" not in system.settings:
        raise LabError(f"Evaluation {number} ({view.title}) has no system of {base} that could run again.")
    kept = system.settings
    plan = matrix.Plan(
        dataset=system.dataset,
        models=(tuned,),
        templates=(system.template or "",),
        shots=(kept["k"],),
        selectors=(kept["selector"] or "first",),
        samplings=(Sampling.from_dict(kept["sampling"]),),
        seeds=(kept["sampling"].get("seed") or 0,),
        rows=kept["rows"],
        sample_seed=kept["sample_seed"],
        split=kept["split"],
        shot_split=kept["shot_split"],
        fixed=tuple(kept["fixed"]),
        rendering=kept["rendering"],
        metrics=view.choices,
    )
    return system.id, plan
