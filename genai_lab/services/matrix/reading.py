"""A cell's predictions, filtered, beside another cell's; thumbs and comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from genai_lab.context import LabContext
from genai_lab.errors import BadSetting, LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.services import datasets
from genai_lab.services.matrix.matrices import MatrixView
from genai_lab.services.predictions import Key
from genai_lab.services.predictions.scoring import references_of, source_text
from genai_lab.views import View
from storage import evaluation as queries
from storage import matrix as ratings
from storage.tables import Rating

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
class RatedCompletion(View):
    """One of a row's completions with a reader's thumb (-1, 0, 1) and comment."""

    generation: int
    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    seed: int
    cached: bool
    error: str | None
    thumb: int
    comment: str


@dataclass(frozen=True)
class Prediction(View):
    """A row as a cell answered it; `value` is the chosen figure's, None where it has none (yet).

    `other` and `other_value` are those of the cell beside it.
    """

    example: int
    source: str
    references: tuple[str, ...]
    prompt: str
    shots: tuple[int, ...]
    completions: tuple[RatedCompletion, ...]
    value: float | None
    other: tuple[str, ...] | None
    other_value: float | None

    @property
    def text(self) -> str:
        """The first completion."""
        return self.completions[0].text

    @property
    def error(self) -> str | None:
        """Why the first completion that failed did."""
        return next((completion.error for completion in self.completions if completion.error), None)

    @property
    def generation(self) -> int:
        return self.completions[0].generation

    @property
    def rated(self) -> bool:
        return any(completion.thumb or completion.comment for completion in self.completions)


def predictions(
    lab: LabContext, view: MatrixView, cell: int, key: Key | None, *, other: int | None = None, kind: Filter = "all"
) -> list[Prediction]:
    """The cell's predictions in row order, or as the filter orders them; raises LabError for a cell elsewhere."""
    cell_ids = {item.system.id for item in view.cells}
    for cell_id in (cell, other):
        if cell_id is not None and cell_id not in cell_ids:
            raise LabError(f"Cell {cell_id} is not in matrix {view.id}; choose one of its grid.")
    with lab.database.reading() as session:
        rows = queries.outputs_by_row(session, cell)
        ratings_by_id = queries.ratings(session, cell)
        other_rows = queries.outputs_by_row(session, other) if other is not None else []
    version_id = next(item.system.dataset_version_id for item in view.cells if item.system.id == cell)
    examples = datasets.pick(lab, version_id, [outputs[0].example for outputs in rows])
    values, other_values = _values(view, cell, key, rows), _values(view, other, key, other_rows)
    other_texts = {outputs[0].example: tuple(output.text for output in outputs) for outputs in other_rows}
    every = [
        Prediction(
            example=example.key,
            source=source_text(example),
            references=references_of(example),
            prompt=outputs[0].prompt,
            shots=tuple((outputs[0].detail or {}).get("shots", ())),
            completions=tuple(_completion(output, ratings_by_id.get(output.id)) for output in outputs),
            value=values.get(example.key),
            other=other_texts.get(example.key),
            other_value=other_values.get(example.key),
        )
        for example, outputs in zip(examples, rows, strict=True)
    ]
    return _filtered(every, kind, key)


def _completion(output: queries.Output, rating: Rating | None) -> RatedCompletion:
    detail = output.detail or {}
    return RatedCompletion(
        generation=output.id,
        text=output.text,
        prompt_tokens=output.prompt_tokens,
        completion_tokens=output.completion_tokens,
        seconds=output.seconds,
        seed=output.seed,
        cached=bool(detail.get("cached")),
        error=detail.get("error"),
        thumb=rating.thumb if rating is not None else 0,
        comment=rating.comment if rating is not None else "",
    )


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


def _values(
    view: MatrixView, cell: int | None, key: Key | None, rows: Sequence[Sequence[queries.Output]]
) -> dict[int, float]:
    """The figure of each row; none where the cell is not measured yet, or only as a whole."""
    scores = next((item.scores for item in view.cells if item.system.id == cell), ())
    score = next((s for s in scores if (s.metric, s.figure, s.signature) == key), None)
    if score is None or score.per_example is None or len(score.per_example) != len(rows):
        return {}
    pairs = zip(rows, score.per_example, strict=True)
    return {outputs[0].example: value for outputs, value in pairs if isinstance(value, int | float)}


def _filtered(rows: list[Prediction], kind: Filter, key: Key | None) -> list[Prediction]:
    sign = 1.0
    worst: float | None = 0.0
    if key is not None:
        figure = figure_of(key[0], key[1])
        sign = 1.0 if figure.higher_is_better else -1.0
        worst = figure.low if figure.higher_is_better else figure.high
    if kind == "failures":
        return [row for row in rows if row.error or (row.value is not None and row.value == worst)]
    if kind == "different":
        return [row for row in rows if row.other is not None and _stripped(row.other) != _stripped(_texts(row))]
    if kind == "rated":
        return [row for row in rows if row.rated]
    if kind == "worst":
        return sorted(rows, key=lambda row: (row.error is None, sign * (row.value if row.value is not None else 0.0)))
    if kind == "longest":
        return sorted(rows, key=lambda row: -max(completion.completion_tokens for completion in row.completions))
    return rows


def _texts(row: Prediction) -> tuple[str, ...]:
    return tuple(completion.text for completion in row.completions)


def _stripped(texts: Sequence[str]) -> list[str]:
    return [text.strip() for text in texts]
