"""chrF and chrF++ (Popović, 2015 and 2017), as sacreBLEU computes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Array, Figure
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows
from genai_lab.metrics.bleu import sum_statistics

BETA = 2


@dataclass(frozen=True)
class Settings:
    word_order: int = field(
        default=0, metadata={"low": 0, "high": 2, "help": "0 is chrF; 2 is chrF++, which also counts word pairs."}
    )


class Chrf:
    name = "chrf"
    title = "chrF"
    about = "F-score of character n-grams up to 6; fairer than BLEU to rich morphology and short texts."
    citation = "Popović, 2015: chrF, character n-gram F-score for automatic MT evaluation"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("chrf", "chrF", 0.0, 100.0, summed=True),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        from sacrebleu.metrics import CHRF

        return sum_statistics(CHRF(word_order=settings.word_order), "chrf", _chrf, predictions, references)


def _chrf(sums: Array) -> Array:
    """chrF with beta 2 of (R, 3 * orders): n-grams of both sides and matches; orders that a side lacks do not count."""
    predicted, expected, matches = np.moveaxis(sums.reshape(len(sums), -1, 3), 2, 0)
    defined = (predicted > 0) & (expected > 0)
    orders = np.maximum(defined.sum(axis=1), 1)
    precision = (np.where(defined, matches, 0.0) / np.maximum(predicted, 1)).sum(axis=1) / orders
    recall = (np.where(defined, matches, 0.0) / np.maximum(expected, 1)).sum(axis=1) / orders
    below = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1.0)


METRICS.register(Chrf.name)(Chrf())
