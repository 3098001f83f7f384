"""Best of k: the value of the best of k sampled completions, as whoever could choose among them would get it.

Without a chooser the best one is known (an upper bound); with a reward model it is the one that this model prefers, as
best-of-n sampling does (Stiennon et al., 2020; Nakano et al., 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Requirements, Rows, settings_of
from genai_lab.metrics.grouping import (
    BASE_SETTINGS_FIELD,
    K_FIELD,
    Groups,
    completion_values,
    expected_value_of_best,
    k_of,
    scores_by_row,
)

HUNDREDS = ("bleu", "chrf")
REWARD = "reward"
BASES = ("rouge", "token_f1", "exact_match", "classification", *HUNDREDS, REWARD)


@dataclass(frozen=True)
class Settings:
    k: int = field(default=0, metadata=K_FIELD)
    metric: str = field(default="token_f1", metadata={"choices": BASES, "help": "What the best completion is worth."})
    base_settings: dict[str, Any] = field(default_factory=dict, metadata=BASE_SETTINGS_FIELD)
    model: str = field(
        default="",
        metadata={
            "help": "A reward model that chooses the best one; empty: the metric itself does.",
            "role": "reward",
            "label": "Chosen by",
        },
    )

    def __post_init__(self) -> None:
        settings_of(self.metric, self.base_settings)


class BestOfK:
    name = "best_of_k"
    title = "Best of k"
    about = "The expected value of the best of k completions by a metric or a reward model, BLEU and chrF over 100."
    citation = "Nakano et al., 2021: WebGPT, browser-assisted question answering (the estimator)"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "several"
    settings = Settings
    figures = (
        Figure("best_of_k", "best of k"),
        Figure("best_reward", "reward of the best of k", low=None, high=None),
    )

    def requirements(self, settings: Settings) -> Requirements:
        asks = settings.metric == REWARD or bool(settings.model)
        return Requirements(settings.metric != REWARD, "pairs" if asks else "", settings.model)

    def rows(
        self, predictions: Groups, references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        k = k_of(settings.k, predictions)
        rewards, chooser = None, ""
        if self.requirements(settings).scorer:
            if model is None:
                raise LabError(f"Best of k needs the model {settings.model!r}; choose a reward model of the catalogue.")
            rewards, chooser = scores_by_row(model, predictions), f"|by {settings.model}|hash:{model.hash[:12]}"
        if rewards is not None and settings.metric == REWARD:
            best = np.array([expected_value_of_best(row, row, k) for row in rewards])
            return Rows({"best_reward": Sample(best)}, f"k:{k}|reward{chooser}")
        values, base = completion_values(settings.metric, predictions, references, settings.base_settings)
        scale = 100.0 if settings.metric in HUNDREDS else 1.0
        pairs = zip(values, rewards or values, strict=True)
        best = np.array([expected_value_of_best(row / scale, scores, k) for row, scores in pairs])
        return Rows({"best_of_k": Sample(best)}, f"k:{k}|{settings.metric}|{base}{chooser}")


METRICS.register(BestOfK.name)(BestOfK())
