"""Several completions a row: how metrics read them, and what they share.

Rows stay the unit of every interval and test: whatever a metric makes of a row's completions is one value of that row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Array, Sample
from genai_lab.metrics.base import METRICS, Classifier, Metric, Rows, settings_of

Groups = Sequence[Sequence[str]]
Sizes = NDArray[np.intp]
MOST_PER_ROW = 64
K_FIELD = {
    "low": 0,
    "high": MOST_PER_ROW,
    "help": "Completions that count together; 0 is all of a row's.",
    "label": "k",
}
BASE_SETTINGS_FIELD = {"help": "Settings of that metric; what is left out has its default."}


def groups_of(predictions: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """Every row's completions as a list; a text alone is the only one of its row."""
    return [[texts] if isinstance(texts, str) else list(texts) for texts in predictions]


def flat_texts(groups: Groups) -> list[str]:
    return [text for group in groups for text in group]


def repeat_references(references: Sequence[Sequence[str]], groups: Groups) -> Sequence[Sequence[str]]:
    """The references of each completion, where there are some for each row."""
    if len(references) != len(groups):
        return references
    return [row for row, group in zip(references, groups, strict=True) for _ in group]


def row_samples(
    metric: Metric, groups: Groups, references: Sequence[Sequence[str]], settings: Any, model: Classifier | None = None
) -> Rows:
    """What each row contributes to the metric, whichever number of completions it reads."""
    # Metrics of plugins that were written before there were several name no number.
    if getattr(metric, "predictions_per_row", "one") == "several":
        return metric.rows(groups, references, settings, model)
    rows = metric.rows(flat_texts(groups), repeat_references(references, groups), settings, model)
    sizes = np.array([len(group) for group in groups])
    if sizes.max() == 1:
        return rows
    samples = {name: average_rows(sample, sizes) for name, sample in rows.samples.items()}
    return replace(rows, samples=samples)


def average_rows(sample: Sample, sizes: Sizes) -> Sample:
    """One entry a row of a sample of completions: the mean of its values, or the total of its sums.

    Undefined completions do not count; a row without any other is undefined.
    """
    undefined = np.asarray(np.isnan(sample.parts.reshape(len(sample.parts), -1)).any(axis=1))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    counts = np.add.reduceat((~undefined).astype(float), starts)
    if sample.parts.ndim == 1:
        totals = np.add.reduceat(np.where(undefined, 0.0, sample.parts), starts)
        parts = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    else:
        totals = np.add.reduceat(np.where(undefined[:, None], 0.0, sample.parts), starts, axis=0)
        parts = np.where(counts[:, None] > 0, totals, np.nan)
    row_values = None
    if sample.shown is not None:
        cuts = [list(sample.shown[start : start + size]) for start, size in zip(starts, sizes, strict=True)]
        row_values = [_mean(values) for values in cuts]
    return Sample(parts, sample.combine, shown=row_values)


def k_of(k: int, groups: Groups) -> int:
    """How many completions count together: `k`, or all that every row has; raises LabError where a row has fewer."""
    fewest = min(len(group) for group in groups)
    if k <= fewest:
        return k or fewest
    row = next(number for number, group in enumerate(groups, 1) if len(group) < k)
    raise LabError(
        f"Row {row} has {len(groups[row - 1])} completion{'s' if len(groups[row - 1]) != 1 else ''}, but k is {k}; "
        "sample more completions per row, or choose a smaller k."
    )


def completion_values(
    name: str, groups: Groups, references: Sequence[Sequence[str]], settings: Mapping[str, Any] | None = None
) -> tuple[list[Array], str]:
    """The values that a metric of one prediction gives each row's completions, and its signature.

    The metric's first figure counts; a setting that is left out has its default.
    """
    metric = METRICS.get(name)
    chosen = settings_of(name, dict(settings or {}))
    rows = metric.rows(flat_texts(groups), repeat_references(references, groups), chosen)
    return _by_row(rows.samples[metric.figures[0].name].values, groups), rows.signature


def scores_by_row(model: Any, groups: Groups) -> list[Array]:
    """What a model gives each row's completions."""
    return _by_row(model.scores(flat_texts(groups)), groups)


def _by_row(values: Sequence[float | None], groups: Groups) -> list[Array]:
    cuts = np.cumsum([len(group) for group in groups])[:-1]
    return np.split(np.array([np.nan if value is None else value for value in values], dtype=float), cuts)


def expected_maximum(values: Array, k: int) -> float:
    """The mean of the maximum over all ways to choose k of the values; NaN where fewer than k are defined."""
    return expected_value_of_best(values, values, k)


def expected_value_of_best(values: Array, scores: Array, k: int) -> float:
    """The mean over all ways to choose k completions of the value of the one that scores best.

    The i-th smallest of n scores is the largest of C(i - 1, k - 1) of the C(n, k) choices, so that the estimate has no
    bias for k < n. For values of 0 and 1 that are the scores it is equation 1 of Chen et al., 2021. Equal scores share
    their weight. NaN where fewer than k are defined.
    """
    defined = ~(np.isnan(values) | np.isnan(scores))
    values, scores = values[defined], scores[defined]
    order = np.argsort(scores, kind="stable")
    n = len(order)
    if n < k:
        return float("nan")
    weights = np.zeros(n)
    weights[-1] = k / n
    for index in range(n - 2, k - 2, -1):
        # C(i - 1, k - 1) / C(i, k - 1) = (i - k + 1) / i, with i = index + 1 places from below.
        weights[index] = weights[index + 1] * (index + 2 - k) / (index + 1)
    _, ties = np.unique(scores[order], return_inverse=True)
    shared = np.bincount(ties, weights) / np.bincount(ties)
    return float(shared[ties] @ values[order])


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
