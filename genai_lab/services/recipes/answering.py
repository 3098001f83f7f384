"""What came of a recipe, in words: figures with intervals, which system is best, and what may be said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.metrics import Figure
from genai_lab.recipes import RECIPES, Recipe
from genai_lab.services import evaluation
from genai_lab.services.evaluation import EvaluationView, Key
from genai_lab.services.evaluation.comparing import BaselineComparison, compare, compare_with_commonest_label
from genai_lab.services.training import studies, study_results
from genai_lab.services.training.studies import StudyView
from genai_lab.views import View

ALPHA = 0.05
OPEN = ("queued", "running")


@dataclass(frozen=True)
class AnswerRow(View):
    """One system: its figure over n rows with the 95 % interval (None while it is measured)."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    best: bool = False


@dataclass(frozen=True)
class Answer(View):
    """What a run of a recipe has come to. `sentences` answer its question, the first in short; none while it runs.

    `baseline` is what always naming the commonest label would score on the same rows, where there are labels.
    """

    recipe: str
    run_id: int
    status: str
    dataset: str
    figure: str
    rows: tuple[AnswerRow, ...]
    sentences: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    baseline: float | None = None
    error: str = ""
    evaluation: int | None = None
    study: int | None = None
    forgetting: int | None = None

    @property
    def live(self) -> bool:
        return self.status in OPEN


def answer(lab: LabContext, name: str, run_id: int) -> Answer:
    """The answer of a run, as far as it has come; raises LabError where the recipe has no such run."""
    recipe = RECIPES.get(name)
    return _of_study(lab, recipe, run_id) if recipe.tuning else _of_evaluation(lab, recipe, run_id)


def latest(lab: LabContext, name: str) -> int | None:
    """The newest run of the recipe, None where it has not been run."""
    recipe = RECIPES.get(name)
    views: Sequence[StudyView | EvaluationView] = studies.find(lab, 100) if recipe.tuning else evaluation.find(lab, 100)
    return next((view.id for view in views if view.title == recipe.title), None)


def _of_evaluation(lab: LabContext, recipe: Recipe, run_id: int) -> Answer:
    view = evaluation.show(lab, run_id)
    key = _key(view, recipe)
    started = Answer(
        recipe.name, run_id, view.status, view.dataset, _title(recipe), _rows(view, key), error=view.error or "",
        evaluation=run_id,
    )  # fmt: skip
    values = [row.value for row in started.rows if row.value is not None]
    if view.status != "finished" or key is None or len(values) < len(view.systems):
        return started
    figure = figure_of(key[0], key[1])
    sign = 1 if figure.higher_is_better else -1
    best = max(range(len(values)), key=lambda index: sign * values[index])
    compared = compare(lab, view, key, view.systems[best].id)
    sentences = [_best_sentence(started.rows[best], figure)]
    if values[best]:
        sentences += _fewest_shots(view, best, compared)
    share, sentence = _against_commonest(lab, view, key, best)
    rows = tuple(replace(row, best=index == best) for index, row in enumerate(started.rows))
    return replace(
        started,
        rows=rows,
        sentences=(*sentences, *([sentence] if sentence else [])),
        verdicts=tuple(item.verdict for item in compared),
        baseline=share,
    )


def _of_study(lab: LabContext, recipe: Recipe, run_id: int) -> Answer:
    study = studies.show(lab, run_id)
    number = study.evaluations.get(studies.HELD_OUT)
    if study.title != recipe.title or number is None:
        raise LabError(f"Run {run_id} is none of {recipe.title}; the Fine-tune page lists the studies.")
    view = evaluation.show(lab, number)
    key = _key(view, recipe)
    forgotten = _forgetting_of(lab, study)
    started = Answer(
        recipe.name, run_id, view.status, view.dataset, _title(recipe), _rows(view, key), error=view.error or "",
        evaluation=number, study=run_id, forgetting=forgotten.id if forgotten else None,
    )  # fmt: skip
    if view.status != "finished" or key is None:
        return started
    measured = _measured(view, key)
    base, *tuned = view.systems
    gains = compare(lab, measured, key, base.id) if base in measured.systems else []
    between: list[BaselineComparison] = []
    if tuned[0] in measured.systems:
        between = [item for item in compare(lab, measured, key, tuned[0].id) if item.system != base.id]
    sentences = [item.verdict for item in gains] + _left_out(view, measured)
    pending = _forgetting_pending(lab, forgotten)
    if forgotten is not None and not pending:
        sentences.append(study_results.got_worse(study_results.changes(lab, forgotten), "suites"))
    elif forgotten is not None:
        sentences.append("What was forgotten is still being measured.")
    return replace(
        started,
        status="running" if pending else started.status,
        sentences=tuple(sentences),
        verdicts=tuple(item.verdict for item in between),
    )


def _measured(view: EvaluationView, key: Key) -> EvaluationView:
    """The evaluation with the systems that were measured alone; those whose run failed are left out of it."""
    ids = {score.system for score in view.scores if (score.metric, score.figure, score.signature) == key}
    return replace(view, systems=tuple(system for system in view.systems if system.id in ids))


def _left_out(view: EvaluationView, measured: EvaluationView) -> list[str]:
    names = [system.label for system in view.systems if system not in measured.systems]
    return [f"Not measured, because the run failed: {', '.join(names)}."] if names else []


def _key(view: EvaluationView, recipe: Recipe) -> Key | None:
    return next((key for key in view.figures() if key[1] == recipe.figure), None)


def _title(recipe: Recipe) -> str:
    return figure_of(recipe.metrics[0].metric, recipe.figure).title


def _rows(view: EvaluationView, key: Key | None) -> tuple[AnswerRow, ...]:
    """Every system in the order of the columns."""
    rows = []
    for system in view.systems:
        try:
            score = view.score(key, system.id) if key is not None else None
        except LabError:
            score = None
        if score is None:
            rows.append(AnswerRow(system.label, None, None, None, system.n))
        else:
            rows.append(AnswerRow(system.label, score.value, score.low, score.high, score.n))
    return tuple(rows)


def _best_sentence(row: AnswerRow, figure: Figure) -> str:
    if row.value == 0:
        return f"No system scores anything on these {row.n:,} rows: the model does not answer as it was asked to."
    ends = f"95 % interval {_number(row.low)} to {_number(row.high)}"
    return f"{row.label} is best: {figure.title} {_number(row.value)} ({ends}) on {row.n:,} rows."


def _fewest_shots(view: EvaluationView, best: int, compared: Sequence[BaselineComparison]) -> list[str]:
    """The fewest shots of the best model that are not shown to be worse than the best."""
    shots = {system.id: system.settings.get("k") for system in view.systems if system.model == view.systems[best].model}
    most = shots.get(view.systems[best].id)
    if most is None or len(set(shots.values())) < 2:
        return []
    equal = [item for item in compared if item.system in shots and not item.p < ALPHA]
    fewer = [number for item in equal if (number := shots[item.system]) is not None and number < most]
    if not fewer:
        return [f"Fewer shots than {most} are shown to be worse." if most else "No number of shots is better than 0."]
    worse = sorted(n for s, n in shots.items() if n is not None and s not in [i.system for i in equal] and n != most)
    beside = f" ({_listed(worse)} shot{'s are' if worse != [1] else ' is'})" if worse else ""
    least = min(fewer)
    return [f"{least} shot{'s are' if least != 1 else ' is'} not shown to be worse than {most}{beside}."]


def _against_commonest(lab: LabContext, view: EvaluationView, key: Key, best: int) -> tuple[float | None, str]:
    """What always naming the commonest label of these rows scores, and whether the best system is above it."""
    if key[1] != "accuracy":
        return None, ""
    commonest = compare_with_commonest_label(lab, view, key, view.systems[best].id)
    share, difference = commonest.share, commonest.comparison
    points = f"{100 * difference.difference:+.1f} points"
    ends = f"95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    if difference.p_randomisation >= ALPHA:
        said = "is not shown to differ from that, so that no skill is shown"
    else:
        said = "is above that" if difference.difference > 0 else "is below that"
    return share, (
        f"Always naming {commonest.label!r}, the commonest label, scores {share:.3f} on the same rows; the best {said} "
        f"({points}, {ends}, p = {difference.p_randomisation:.2g})."
    )


def _forgetting_of(lab: LabContext, study: StudyView) -> StudyView | None:
    """The study of what the study's models forgot."""
    tuned = [run.model for run in study.runs]
    fitting = (view for view in studies.find(lab, 100) if view.kind == "forgetting")
    return next((studies.show(lab, view.id) for view in fitting if view.settings.get("tuned") == tuned), None)


def _forgetting_pending(lab: LabContext, study: StudyView | None) -> bool:
    numbers = study.evaluations.values() if study is not None else ()
    return any(evaluation.show(lab, number).status in OPEN for number in numbers)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last
