"""A cell's predictions, filtered, beside another cell's; thumbs and comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.errors import BadSetting, LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.services import datasets
from genai_lab.services.matrix.matrices import MatrixView
from genai_lab.services.predictions import Key
from genai_lab.services.predictions.scoring import source_text, wanted
from genai_lab.views import View
from storage import evaluation as queries
from storage import matrix as ratings

Filter = Literal["all", "failures", "different", "worst", "longest", "rated"]
FILTERS: tuple[tuple[str, Filter], ...] = (
    ("All", "all"),
    ("Failures", "failures"),
    ("Different", "different"),
    ("Worst", "worst"),
    ("Longest", "longest"),
    ("Rated", "rated"),
)
LONGEST_COMMENT = 2000


@dataclass(frozen=True)
class Prediction(View):
    """What a cell made of a row; `value` is the chosen figure's, None where it has none (yet)."""

    generation: int
    example: int
    source: str
    references: tuple[str, ...]
    text: str
    prompt: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    shots: tuple[int, ...]
    cached: bool
    error: str | None
    value: float | None
    other: str | None
    other_value: float | None
    thumb: int
    comment: str


def predictions(
    lab: LabContext, view: MatrixView, cell: int, key: Key | None, *, other: int | None = None, kind: Filter = "all"
) -> list[Prediction]:
    """The cell's predictions in row order, or as the filter orders them; raises LabError for a cell elsewhere."""
    known = {one.system.id for one in view.cells}
    for one in (cell, other):
        if one is not None and one not in known:
            raise LabError(f"Cell {one} is not in matrix {view.id}; choose one of its grid.")
    with lab.database.reading() as session:
        found = queries.outputs(session, cell)
        rated = queries.ratings(session, cell)
        second = {row.example: row for row in queries.outputs(session, other)} if other is not None else {}
    version = next(one.system.dataset_version_id for one in view.cells if one.system.id == cell)
    rows = {one.key: one for one in datasets.pick(lab, version, [row.example for row in found])}
    values, others = _values(view, cell, key, found), _values(view, other, key, list(second.values()))
    made = []
    for row in found:
        beside, mark, detail = second.get(row.example), rated.get(row.id), row.detail or {}
        made.append(
            Prediction(
                generation=row.id,
                example=row.example,
                source=source_text(rows[row.example]),
                references=_references(rows[row.example]),
                text=row.text,
                prompt=row.prompt,
                prompt_tokens=row.prompt_tokens,
                completion_tokens=row.completion_tokens,
                seconds=row.seconds,
                shots=tuple(detail.get("shots", ())),
                cached=bool(detail.get("cached")),
                error=detail.get("error"),
                value=values.get(row.example),
                other=beside.text if beside is not None else None,
                other_value=others.get(row.example),
                thumb=mark.thumb if mark is not None else 0,
                comment=mark.comment if mark is not None else "",
            )
        )
    return _filtered(made, kind, key)


def rate(lab: LabContext, generation: int, *, thumb: int | None = None, comment: str | None = None) -> None:
    """Keeps a reader's thumb (-1, 0, 1) or comment on a prediction; raises LabError for one that is not there."""
    if thumb is not None and thumb not in (-1, 0, 1):
        raise BadSetting("thumb", thumb, "-1, 0 or 1")
    if comment is not None and len(comment) > LONGEST_COMMENT:
        raise BadSetting("comment", f"{len(comment):,} characters long", f"at most {LONGEST_COMMENT:,} characters long")
    with lab.database.session() as session:
        row = ratings.put_rating(session, generation, thumb, comment)
    if row is None:
        raise LabError(f"There is no prediction {generation}; reload the page.")


def figures(view: MatrixView) -> list[Key]:
    """(metric, figure, signature) of all cells in the order measured, each once."""
    return list(dict.fromkeys((s.metric, s.figure, s.signature) for cell in view.cells for s in cell.scores))


def _values(view: MatrixView, cell: int | None, key: Key | None, found: Sequence[queries.Output]) -> dict[int, float]:
    """The figure of each row; none where the cell is not measured yet, or only as a whole."""
    scores = next((one.scores for one in view.cells if one.system.id == cell), ())
    score = next((s for s in scores if (s.metric, s.figure, s.signature) == key), None)
    if score is None or score.per_example is None or len(score.per_example) != len(found):
        return {}
    pairs = zip(found, score.per_example, strict=True)
    return {row.example: value for row, value in pairs if isinstance(value, int | float)}


def _references(row: Example) -> tuple[str, ...]:
    return tuple(wanted(row))


def _filtered(made: list[Prediction], kind: Filter, key: Key | None) -> list[Prediction]:
    sign = 1.0
    worst: float | None = 0.0
    if key is not None:
        figure = figure_of(key[0], key[1])
        sign = 1.0 if figure.higher_is_better else -1.0
        worst = figure.low if figure.higher_is_better else figure.high
    if kind == "failures":
        return [one for one in made if one.error or (one.value is not None and one.value == worst)]
    if kind == "different":
        return [one for one in made if one.other is not None and one.other.strip() != one.text.strip()]
    if kind == "rated":
        return [one for one in made if one.thumb or one.comment]
    if kind == "worst":
        return sorted(made, key=lambda one: (one.error is None, sign * (one.value if one.value is not None else 0.0)))
    if kind == "longest":
        return sorted(made, key=lambda one: -one.completion_tokens)
    return made
