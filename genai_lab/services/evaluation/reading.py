"""Reading an evaluation: systems compared on one figure, row by row, by bucket, and against length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.errors import LabError
from genai_lab.metrics.tokenizing import separate_words
from genai_lab.services import datasets
from genai_lab.services.evaluation.evaluations import EvaluationView
from genai_lab.services.predictions import Key
from genai_lab.services.predictions.scoring import references_of, source_text
from genai_lab.views import View
from storage import evaluation as queries

Order = Literal["difference", "wins", "losses", "ties", "longest", "worst"]
BUCKETS = 4
MOST_BUCKETS = 12


@dataclass(frozen=True)
class RowComparison(View):
    """One dataset row with what two systems answered; `difference` is b - a, None where either is undefined.

    `texts` are the first completions of the two, `completions` all of them.
    """

    example: int
    source: str
    references: tuple[str, ...]
    label: str | None
    texts: tuple[str, str]
    completions: tuple[tuple[str, ...], tuple[str, ...]]
    generations: tuple[int, int]
    prompts: tuple[str, str]
    values: tuple[float | None, float | None]

    @property
    def shown(self) -> tuple[str, str]:
        """All completions of the two for reading: numbered where there are several."""
        a, b = (number_texts(texts) for texts in self.completions)
        return a, b

    @property
    def difference(self) -> float | None:
        a, b = self.values
        return None if a is None or b is None else b - a


def number_texts(texts: Sequence[str]) -> str:
    """The text alone, or several with their numbers, each from a line of its own."""
    if len(texts) == 1:
        return texts[0]
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))


@dataclass(frozen=True)
class Bucket(View):
    """Rows that have something in common, and each system's mean with its interval."""

    name: str
    n: int
    means: tuple[Any, ...]


def lines(lab: LabContext, view: EvaluationView, key: Key, a: int, b: int) -> list[RowComparison]:
    """The rows that both systems answered, in the dataset's order."""
    first, second = _answers(lab, view, key, a), _answers(lab, view, key, b)
    common = [example for example in first if example in second]
    rows = {left_outputs.key: left_outputs for left_outputs in datasets.pick(lab, view.dataset_version_id, common)}
    rows_compared = []
    for example in common:
        row, (left_outputs, left_value), (right_outputs, right_value) = rows[example], first[example], second[example]
        rows_compared.append(
            RowComparison(
                example=example,
                source=source_text(row),
                references=references_of(row),
                label=row.label,
                texts=(left_outputs[0].text, right_outputs[0].text),
                completions=(
                    tuple(output.text for output in left_outputs),
                    tuple(output.text for output in right_outputs),
                ),
                generations=(left_outputs[0].id, right_outputs[0].id),
                prompts=(left_outputs[0].prompt, right_outputs[0].prompt),
                values=(left_value, right_value),
            )
        )
    return rows_compared


def sort_lines(lines: Sequence[RowComparison], order: Order, higher_is_better: bool = True) -> list[RowComparison]:
    """Sorted for reading: the largest differences first, or only wins, losses or ties of b against a."""
    sign = 1 if higher_is_better else -1
    gain: Callable[[RowComparison], float] = lambda line: sign * (line.difference or 0.0)  # noqa: E731
    if order == "wins":
        return sorted((line for line in lines if gain(line) > 0), key=gain, reverse=True)
    if order == "losses":
        return sorted((line for line in lines if gain(line) < 0), key=gain)
    if order == "ties":
        return [line for line in lines if line.difference == 0]
    if order == "longest":
        return sorted(lines, key=lambda line: len(line.texts[1]), reverse=True)
    if order == "worst":
        return sorted(lines, key=lambda line: sign * (line.values[1] if line.values[1] is not None else 0.0))
    return sorted(lines, key=lambda line: abs(gain(line)), reverse=True)


def tally(lines: Sequence[RowComparison], higher_is_better: bool = True) -> dict[str, int]:
    """How many rows b wins, loses and ties against a."""
    sign = 1 if higher_is_better else -1
    gains = [sign * line.difference for line in lines if line.difference is not None]
    return {
        "wins": sum(gain > 0 for gain in gains),
        "losses": sum(gain < 0 for gain in gains),
        "ties": sum(gain == 0 for gain in gains),
    }


def buckets(lab: LabContext, view: EvaluationView, key: Key, by: str, seed: int = 0) -> list[Bucket]:
    """Means of every system over rows alike in `by`: "length", "label" or a column of the dataset.

    Beyond the 12 largest groups, rows stand together as one.
    """
    import numpy as np

    from genai_lab.evaluation.figures import figure_of
    from genai_lab.evaluation.statistics import interval
    from genai_lab.metrics import Sample

    answers = [_answers(lab, view, key, item.id) for item in view.systems]
    common = [example for example in answers[0] if all(example in other for other in answers[1:])]
    rows = {item.key: item for item in datasets.pick(lab, view.dataset_version_id, common)}
    groups: dict[str, list[int]] = {}
    name_of = _naming(by, [rows[example] for example in common])
    for example in common:
        groups.setdefault(name_of(rows[example]), []).append(example)
    groups = _gathered(groups)
    figure = figure_of(key[0], key[1])
    bounds, result = (figure.low, figure.high), []
    for name, members in groups.items():
        columns = [[value for e in members if (value := answer[e][1]) is not None] for answer in answers]
        means = tuple(interval(Sample(np.array(column, dtype=float)), bounds=bounds, seed=seed) for column in columns)
        result.append(Bucket(name, len(members), means))
    return result if by == "length" else sorted(result, key=lambda bucket: -bucket.n)


def _gathered(groups: dict[str, list[int]]) -> dict[str, list[int]]:
    if len(groups) <= MOST_BUCKETS:
        return groups
    largest = sorted(groups, key=lambda name: -len(groups[name]))
    smaller = largest[MOST_BUCKETS - 1 :]
    larger = {name: groups[name] for name in largest[: MOST_BUCKETS - 1]}
    return larger | {f"{len(smaller):,} other values": [example for name in smaller for example in groups[name]]}


def _answers(
    lab: LabContext, view: EvaluationView, key: Key, system: int
) -> dict[int, tuple[list[queries.Output], float | None]]:
    """The system's completions of each row, with the figure of the row."""
    score = view.score(key, system)
    if score.per_example is None:
        raise LabError(f"{key[0]} {key[1]} is computed over the whole set; choose a figure that has a value per row.")
    with lab.database.reading() as session:
        rows = queries.outputs_by_row(session, system)
    return {outputs[0].example: (outputs, value) for outputs, value in zip(rows, score.per_example, strict=True)}


def _naming(by: str, rows: Sequence[Example]) -> Callable[[Example], str]:
    if by == "label":
        return lambda row: row.label if row.label is not None else "no label"
    if by != "length":
        return lambda row: row.fields.get(by, "") or "empty"
    lengths = sorted(len(separate_words(source_text(row))) for row in rows)
    edges = sorted({lengths[min(len(lengths) - 1, len(lengths) * cut // BUCKETS)] for cut in range(1, BUCKETS)})
    spans = list(zip([lengths[0], *(edge + 1 for edge in edges)], [*edges, lengths[-1]], strict=True))

    def name(row: Example) -> str:
        count = len(separate_words(source_text(row)))
        low, high = next((span for span in spans if count <= span[1]), spans[-1])
        return f"{low} to {high} words"

    return name
