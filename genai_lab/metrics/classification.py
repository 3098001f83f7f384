"""Accuracy and F1 by label: what a classifier's completions are worth, with the confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.evaluation.sample import Array, Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows
from genai_lab.metrics.exact_match import Settings as Normal

Places = NDArray[np.intp]
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
        names = {settings.normal(one[0]): one[0] for one in references}
        labels = sorted(names)
        place = {label: number for number, label in enumerate(labels)}
        wanted = np.array([place[settings.normal(one[0])] for one in references])
        made = np.array([place.get(settings.normal(text), len(labels)) for text in predictions])
        hits = wanted == made
        signature = f"labels:{len(labels)}|{settings.signature}"
        samples = {"accuracy": Sample(hits.astype(float), proportion=True)}
        if len(labels) <= MOST_LABELS:
            samples["macro_f1"] = Sample(_counts(wanted, made, len(labels)), _macro, shown=hits.astype(float).tolist())
        return Rows(samples, signature, _detail([names[label] for label in labels], wanted, made))


def _counts(wanted: Places, made: Places, labels: int) -> Array:
    """(n, 3 * labels): true positives, false positives and false negatives of each label."""
    rows = np.arange(len(wanted))
    table = np.zeros((len(wanted), 3, labels + 1))
    hit = wanted == made
    table[rows, 0, wanted] = hit
    table[rows, 1, made] = ~hit
    table[rows, 2, wanted] = ~hit
    return table[:, :, :labels].reshape(len(wanted), -1)


def _macro(sums: Array) -> Array:
    hits, wrong, missed = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
    total = 2 * hits + wrong + missed
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(total > 0, 2 * hits / total, np.nan)
    known = ~np.isnan(f1)
    return np.nansum(f1, axis=1) / np.maximum(known.sum(axis=1), 1)


def _detail(names: list[str], wanted: Places, made: Places) -> dict[str, Any]:
    size = len(names)
    matrix = np.zeros((size, size + 1), dtype=int)
    np.add.at(matrix, (wanted, made), 1)
    table = []
    for number, name in enumerate(names):
        hits, said, real = matrix[number, number], matrix[:, number].sum(), matrix[number].sum()
        precision, recall = hits / said if said else 0.0, hits / real if real else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        table.append(
            {"label": name, "precision": float(precision), "recall": float(recall), "f1": float(f1), "n": int(real)}
        )
    return {"labels": table, "confusion": matrix.tolist(), "columns": [*names, OTHER]}


METRICS.register(Classification.name)(Classification())
