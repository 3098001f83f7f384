"""A metric's figures with their 95 % intervals."""

from collections.abc import Sequence
from typing import Any

from genai_lab.errors import LabError
from genai_lab.evaluation.statistics import interval
from genai_lab.metrics.base import METRICS, Classifier, Measure, Measured, Metric


def measure(
    name: str,
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: Any = None,
    *,
    model: Classifier | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Measured:
    """The metric's figures with 95 % bootstrap intervals; raises LabError for rows that cannot be measured."""
    metric = METRICS.get(name)
    _check(metric, predictions, references)
    made = metric.rows(predictions, references, settings or metric.settings(), model)
    figures = {}
    for figure in metric.figures:
        sample = made.samples.get(figure.name)
        if sample is not None:
            found = interval(sample, bounds=(figure.low, figure.high), seed=seed, resamples=resamples)
            figures[figure.name] = Measure(found.value, found.low, found.high, found.n, sample)
    return Measured(figures, made.signature, made.detail)


def _check(metric: Metric, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not predictions:
        raise LabError("There are no predictions to measure.")
    if metric.needs not in ("references", "labels"):
        return
    if len(predictions) != len(references):
        raise LabError(
            f"There are {len(predictions):,} predictions but {len(references):,} references; give one a row."
        )
    for number, one in enumerate(references, 1):
        if not one:
            raise LabError(f"Row {number} has no reference, which {metric.title} needs.")
