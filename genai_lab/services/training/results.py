"""What studies have found, as rows: one a method, one a system, one a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.metrics import figure_of
from genai_lab.services import evaluation
from genai_lab.services.evaluation import EvaluationView, Key
from genai_lab.services.evaluation.comparing import Compared, compare
from genai_lab.services.training import TrainingView
from genai_lab.services.training.studies import StudyView

SHOWN = ("rougeL", "accuracy", "f1", "exact_match", "chrf", "bleu")


@dataclass(frozen=True)
class Line:
    """One system: its figure with the interval over n rows, what it took, and how it differs from the baseline."""

    label: str
    model: str | None
    run: TrainingView | None
    value: float | None
    low: float | None
    high: float | None
    n: int
    compared: Compared | None
    prompt_tokens: float | None
    seconds: float | None
    baseline: bool


@dataclass(frozen=True)
class Change:
    """How one tuned model stands on one suite: before, after, the paired difference with its interval and p.

    `verdict` is "worse" or "better" where the test tells it, "no difference told", or how far the evaluation is.
    """

    suite: str
    model: str
    before: float | None
    after: float | None
    compared: Compared | None
    verdict: str

    @property
    def worse(self) -> bool:
        return self.verdict == "worse"


def key_of(view: EvaluationView) -> Key | None:
    """The figure that the study shows: the first known one, else the first measured."""
    keys = view.figures()
    return next((key for name in SHOWN for key in keys if key[1] == name), keys[0] if keys else None)


def lines(lab: Lab, study: StudyView) -> list[Line]:
    """The systems of a bake-off or of shots against tuning, in the order of the columns; raises LabError."""
    number = study.evaluations.get("held out")
    if number is None:
        return []
    view = evaluation.show(lab, number)
    key = key_of(view)
    by_model = {run.model: run for run in study.runs}
    compared = {}
    if key is not None and view.status == "finished":
        measured = {one.system for one in view.scores if (one.metric, one.figure, one.signature) == key}
        if view.baseline in measured:
            kept = [one for one in view.systems if one.id in measured]
            compared = {one.system: one for one in compare(lab, _only(view, kept), key)}
    return [_line(lab, view, key, system, by_model, compared) for system in view.systems]


def _only(view: EvaluationView, kept: Sequence[Any]) -> EvaluationView:
    from dataclasses import replace

    return replace(view, systems=tuple(kept))


def _line(
    lab: Lab, view: EvaluationView, key: Key | None, system: Any, by_model: dict[Any, TrainingView], compared: Any
) -> Line:
    score = None
    if key is not None:
        try:
            score = view.score(key, system.id)
        except LabError:
            score = None
    tokens, seconds = _cost(lab, system.id)
    return Line(
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


def _cost(lab: Lab, system: int) -> tuple[float | None, float | None]:
    """(mean tokens of a prompt, mean seconds a completion)."""
    from storage import evaluation as queries

    with lab.database.reading() as session:
        found = queries.outputs(session, system)
    if not found:
        return None, None
    return sum(one.prompt_tokens for one in found) / len(found), sum(one.seconds for one in found) / len(found)


def changes(lab: Lab, study: StudyView) -> list[Change]:
    """Every tuned model on every suite of a forgetting study or gate; what fell is `worse` where the test tells it."""
    made = []
    for suite, number in study.evaluations.items():
        view = evaluation.show(lab, number)
        key = key_of(view)
        base = view.system(view.baseline)
        found = {}
        if key is not None and view.status == "finished":
            found = {one.system: one for one in compare(lab, view, key)}
        for system in view.systems:
            if system.id == base.id:
                continue
            compared = found.get(system.id)
            before, after = (_value(view, key, one) for one in (base.id, system.id))
            verdict = view.status
            if compared is not None and key is not None:
                fell = compared.comparison.difference < 0
                told = "worse" if fell == figure_of(key[0], key[1]).higher_is_better else "better"
                verdict = told if compared.p < 0.05 else "no difference told"
            made.append(Change(suite, system.model or system.label, before, after, compared, verdict))
    return made


def _value(view: EvaluationView, key: Key | None, system: int) -> float | None:
    try:
        return view.score(key, system).value if key is not None else None
    except LabError:
        return None
