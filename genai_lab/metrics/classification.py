"""Accuracy and F1 by label: what a classifier's completions are worth, with the confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.evaluation.sample import Array, Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows
from genai_lab.metrics.exact_match import Settings as Normal

Indices = NDArray[np.intp]
OTHER = "(other)"
MOST_LABELS = 60


@dataclass(frozen=True)
class Settings(Normal):
    """As exact match, reading the first line only: a label is one line."""

    first_line: bool = field(default=True, metadata={"help": "Only the first line of a completion counts."})


class Classification:
    name = "classification"
    title = "Classification"
    about = "Accuracy, and F1 by label with equal weight (macro); a completion that names no label counts as wrong."
    citation = "Sokolova and Lapalme, 2009: A systematic analysis of performance measures"
    needs = "labels"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("accuracy", "accuracy"), Figure("macro_f1", "macro F1", summed=True))

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        names = {settings.normal(row[0]): row[0] for row in references}
        labels = sorted(names)
        index_of = {label: number for number, label in enumerate(labels)}
        expected = np.array([index_of[settings.normal(row[0])] for row in references])
        predicted = np.array([index_of.get(settings.normal(text), len(labels)) for text in predictions])
        hits = expected == predicted
        signature = f"labels:{len(labels)}|{settings.signature}"
        samples = {"accuracy": Sample(hits.astype(float), proportion=True)}
        if len(labels) <= MOST_LABELS:
            samples["macro_f1"] = Sample(
                _counts(expected, predicted, len(labels)), _macro, shown=hits.astype(float).tolist()
            )
        return Rows(samples, signature, _detail([names[label] for label in labels], expected, predicted))


def _counts(expected: Indices, predicted: Indices, labels: int) -> Array:
    """(n, 3 * labels): true positives, false positives and false negatives of each label."""
    rows = np.arange(len(expected))
    table = np.zeros((len(expected), 3, labels + 1))
    hit = expected == predicted
    table[rows, 0, expected] = hit
    table[rows, 1, predicted] = ~hit
    table[rows, 2, expected] = ~hit
    return table[:, :, :labels].reshape(len(expected), -1)


def _macro(sums: Array) -> Array:
    hits, wrong, missed = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
    total = 2 * hits + wrong + missed
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(total > 0, 2 * hits / total, np.nan)
    defined = ~np.isnan(f1)
    return np.nansum(f1, axis=1) / np.maximum(defined.sum(axis=1), 1)


def _detail(names: list[str], expected: Indices, predicted: Indices) -> dict[str, Any]:
    size = len(names)
    matrix = np.zeros((size, size + 1), dtype=int)
    np.add.at(matrix, (expected, predicted), 1)
    table = []
    for number, name in enumerate(names):
        hits, predictions, real = matrix[number, number], matrix[:, number].sum(), matrix[number].sum()
        precision, recall = hits / predictions if predictions else 0.0, hits / real if real else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        table.append(
            {"label": name, "precision": float(precision), "recall": float(recall), "f1": float(f1), "n": int(real)}
        )
    return {"labels": table, "confusion": matrix.tolist(), "columns": [*names, OTHER]}


METRICS.register(Classification.name)(Classification())
