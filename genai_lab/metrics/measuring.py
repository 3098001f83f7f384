"""A metric's figures with their 95 % intervals."""

from collections.abc import Sequence
from typing import Any

from genai_lab.errors import LabError
from genai_lab.evaluation.statistics import interval
from genai_lab.metrics.base import METRICS, Classifier, Measure, Measured, Metric, Requirements, requirements
from genai_lab.metrics.grouping import groups_of, row_samples


def measure(
    name: str,
    predictions: Sequence[str | Sequence[str]],
    references: Sequence[Sequence[str]],
    settings: Any = None,
    *,
    model: Classifier | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Measured:
    """The metric's figures with 95 % bootstrap intervals; raises LabError for rows that cannot be measured.

    A prediction is a text or the completions of its row. Intervals resample rows, never completions.
    """
    metric = METRICS.get(name)
    groups = groups_of(predictions)
    settings = settings or metric.settings()
    _check(metric, groups, references, requirements(metric, settings))
    rows = row_samples(metric, groups, references, settings, model)
    figures = {}
    for figure in metric.figures:
        sample = rows.samples.get(figure.name)
        if sample is not None:
            ends = interval(sample, bounds=(figure.low, figure.high), seed=seed, resamples=resamples)
            figures[figure.name] = Measure(ends.value, ends.low, ends.high, ends.n, sample)
    sizes = [len(group) for group in groups]
    per_row = {"completions_per_row": [min(sizes), max(sizes)]} if max(sizes) > 1 else {}
    return Measured(figures, rows.signature, rows.detail | per_row)


def _check(
    metric: Metric, groups: Sequence[Sequence[str]], references: Sequence[Sequence[str]], required: Requirements
) -> None:
    if not groups:
        raise LabError("There are no predictions to measure.")
    empty = next((number for number, group in enumerate(groups, 1) if not group), None)
    if empty is not None:
        raise LabError(f"Row {empty} has no completion; give one or more a row.")
    if not required.references:
        return
    if len(groups) != len(references):
        raise LabError(f"There are {len(groups):,} predictions but {len(references):,} references; give one a row.")
    for number, texts in enumerate(references, 1):
        if not texts:
            raise LabError(f"Row {number} has no reference, which {metric.title} needs.")
