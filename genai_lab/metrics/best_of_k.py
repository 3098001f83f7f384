"""Best of k: the value of the best of k sampled completions, as whoever could choose among them would get it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows
from genai_lab.metrics.grouping import K_FIELD, Groups, completion_values, expected_maximum, k_of

HUNDREDS = ("bleu", "chrf")
BASES = ("rouge", "token_f1", "exact_match", "classification", *HUNDREDS)


@dataclass(frozen=True)
class Settings:
    k: int = field(default=0, metadata=K_FIELD)
    metric: str = field(
        default="token_f1", metadata={"choices": BASES, "help": "The metric by which a completion is the best."}
    )


class BestOfK:
    name = "best_of_k"
    title = "Best of k"
    about = "The expected value of the best of k completions by a metric of likeness, BLEU and chrF over 100."
    citation = "Nakano et al., 2021: WebGPT, browser-assisted question answering (the estimator)"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "several"
    settings = Settings
    figures = (Figure("best_of_k", "best of k"),)

    def rows(
        self, predictions: Groups, references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        k = k_of(settings.k, predictions)
        values, base = completion_values(settings.metric, predictions, references)
        scale = 100.0 if settings.metric in HUNDREDS else 1.0
        best = np.array([expected_maximum(row / scale, k) for row in values])
        return Rows({"best_of_k": Sample(best)}, f"k:{k}|{settings.metric}|{base}")


METRICS.register(BestOfK.name)(BestOfK())
