"""What studies have found, as rows: one a method, one a system, one a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.evaluation.statistics import correct_p_values
from genai_lab.services import evaluation, models, training
from genai_lab.services.evaluation import EvaluationView, Key, SystemView
from genai_lab.services.evaluation.comparing import BaselineComparison, compare
from genai_lab.services.training import TrainingView
from genai_lab.services.training.studies import StudyView
from genai_lab.training.methods import METHODS
from genai_lab.views import View

SHOWN = ("rougeL", "accuracy", "token_f1", "exact_match", "chrf", "bleu")
ALPHA = 0.05
NEUTRAL = ("length_ratio",)  # neither more nor less is better
KINDS = ("single-task", "multi-task", "PEFT", "other")


@dataclass(frozen=True)
class SystemResult(View):
    """One system: its figure with the interval over n rows, what it took, and how it differs from the baseline."""

    label: str
    model: str | None
    run: TrainingView | None
    value: float | None
    low: float | None
    high: float | None
    n: int
    compared: BaselineComparison | None
    prompt_tokens: float | None
    seconds: float | None
    baseline: bool


@dataclass(frozen=True)
class Change(View):
    """How one tuned model stands on one figure of a suite: before, after, the paired difference, and p by Holm over all
    that is compared in the evaluation; `main` is the figure that stands for the suite.

    `verdict` is "worse" or "better" where the test tells it, "no significant difference", or how far the evaluation is.
    `gain` is the difference with the sign that makes more better.
    """

    suite: str
    model: str
    figure: str
    main: bool
    before: float | None
    after: float | None
    compared: BaselineComparison | None
    gain: float
    p: float | None
    verdict: str

    @property
    def worse(self) -> bool:
        return self.verdict == "worse"


@dataclass(frozen=True)
class Forgotten(View):
    """Suites by models: `columns` are (how it was tuned, model), a row is (suite, figure, a change or None each)."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[Change | None, ...]], ...]


def key_of(view: EvaluationView) -> Key | None:
    """The figure that the study shows: the first known one, else the first measured."""
    keys = view.figures()
    return next((key for name in SHOWN for key in keys if key[1] == name), keys[0] if keys else None)


def lines(lab: LabContext, study: StudyView) -> list[SystemResult]:
    """The systems of a bake-off or of shots against tuning, in the order of the columns; raises LabError."""
    number = study.evaluations.get("held out")
    if number is None:
        return []
    view = evaluation.show(lab, number)
    key = key_of(view)
    by_model = {run.model: run for run in study.runs}
    compared = {item.system: item for item in _compared(lab, view, key)} if key is not None else {}
    return [_line(lab, view, key, system, by_model, compared) for system in view.systems]


def _line(
    lab: LabContext,
    view: EvaluationView,
    key: Key | None,
    system: Any,
    by_model: dict[Any, TrainingView],
    compared: Any,
) -> SystemResult:
    score = None
    if key is not None:
        try:
            score = view.score(key, system.id)
        except LabError:
            score = None
    tokens, seconds = _cost(lab, system.id)
    return SystemResult(
        label=system.label,
        model=system.model,
        run=by_model.get(system.model),
        value=score.value if score else None,
        low=score.low if score else None,
        high=score.high if score else None,
        n=score.n if score else 0,
        compared=compared.get(system.id),
        prompt_tokens=tokens,
        seconds=seconds,
        baseline=system.id == view.baseline,
    )


def _cost(lab: LabContext, system: int) -> tuple[float | None, float | None]:
    """(mean tokens of a prompt, mean seconds a completion)."""
    from storage import evaluation as queries

    with lab.database.reading() as session:
        changes = queries.outputs(session, system)
    if not changes:
        return None, None
    return sum(item.prompt_tokens for item in changes) / len(changes), sum(item.seconds for item in changes) / len(
        changes
    )


def changes(lab: LabContext, study: StudyView) -> list[Change]:
    """Every tuned model on every figure of a forgetting study or gate; what fell is `worse` where the test tells it."""
    return [item for suite, number in study.evaluations.items() for item in _of_suite(lab, suite, number)]


def _of_suite(lab: LabContext, suite: str, number: int) -> list[Change]:
    view = evaluation.show(lab, number)
    tuned = [item for item in view.systems if item.id != view.baseline]
    main = key_of(view)
    if main is None:
        return [_change(suite, view, item, None, True, None, None) for item in tuned]
    keys = [
        item for item in view.figures() if item == main or (item[0] not in NEUTRAL and not figure_of(*item[:2]).more)
    ]
    changes = {(key, item.system): item for key in keys for item in _compared(lab, view, key)}
    ps = dict(
        zip(changes, correct_p_values([item.comparison.p_randomisation for item in changes.values()]), strict=True)
    )
    places = [(system, key, (key, system.id)) for system in tuned for key in keys]
    return [_change(suite, view, item, key, key == main, changes.get(at), ps.get(at)) for item, key, at in places]


def _change(
    suite: str,
    view: EvaluationView,
    system: SystemView,
    key: Key | None,
    main: bool,
    compared: BaselineComparison | None,
    p: float | None,
) -> Change:
    before, after = (_value(view, key, item) for item in (view.baseline, system.id))
    figure = figure_of(*key[:2]) if key else None
    gain, verdict = 0.0, view.status
    if compared is not None and p is not None and figure is not None:
        gain = compared.comparison.difference * (1 if figure.higher_is_better else -1)
        verdict = "no significant difference" if p >= ALPHA else "worse" if gain < 0 else "better"
    name, title = system.model or system.label, figure.title if figure else ""
    return Change(suite, name, title, main, before, after, compared, gain, p, verdict)


def _compared(lab: LabContext, view: EvaluationView, key: Key) -> list[BaselineComparison]:
    """The systems against the baseline, those left out for which the figure was not measured."""
    if view.status != "finished":
        return []
    measured = {item.system for item in view.scores if (item.metric, item.figure, item.signature) == key}
    if view.baseline not in measured:
        return []
    return compare(lab, replace(view, systems=tuple(item for item in view.systems if item.id in measured)), key)


def got_worse(changes: Sequence[Change], noun: str) -> str:
    """What got worse, by name, in one sentence."""
    ended = [item for item in changes if item.compared is not None]
    worse = [f"{item.figure} of {item.model} on {item.suite}" for item in ended if item.worse]
    if not ended:
        return "Nothing measured yet; it comes in while jobs run."
    over = f"{len(ended)} figure{'s' if len(ended) > 1 else ''} of {len({item.suite for item in ended})} {noun}"
    if not worse:
        return f"No test found a significant loss over {over}."
    return f"{len(worse)} of {over} got worse: {', '.join(worse)}."


def find_forgotten(lab: LabContext, changes: Sequence[Change]) -> Forgotten:
    """The main figures as a matrix, models tuned on one task, on several and with few weights side by side."""
    main = [item for item in changes if item.main]
    kinds = {name: tuned_how(lab, name) for name in dict.fromkeys(item.model for item in main)}
    names = sorted(kinds, key=lambda name: KINDS.index(kinds[name]))
    cells = {(item.suite, item.model): item for item in main}
    titles = {item.suite: item.figure for item in main}
    rows = tuple((suite, title, tuple(cells.get((suite, name)) for name in names)) for suite, title in titles.items())
    return Forgotten(tuple((kinds[name], name) for name in names), rows)


def tuned_how(lab: LabContext, name: str) -> str:
    """One of KINDS, from the run that has made the model."""
    try:
        plan = training.show(lab, models.show(lab, name).made_by_run or 0).plan
    except LabError:
        return "other"
    return (
        "PEFT"
        if not METHODS.get(plan.method).trains_everything
        else "multi-task"
        if len(plan.data) > 1
        else "single-task"
    )


def _value(view: EvaluationView, key: Key | None, system: int) -> float | None:
    try:
        return view.score(key, system).value if key is not None else None
    except LabError:
        return None
