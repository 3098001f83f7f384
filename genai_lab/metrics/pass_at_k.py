"""pass@k: the chance that at least one of k sampled completions is correct (Chen et al., 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows, settings_of
from genai_lab.metrics.grouping import BASE_SETTINGS_FIELD, K_FIELD, Groups, completion_values, k_of

CORRECT = ("exact_match", "classification", "token_f1", "rouge", "chrf")


@dataclass(frozen=True)
class Settings:
    k: int = field(default=0, metadata=K_FIELD)
    metric: str = field(
        default="exact_match",
        metadata={"choices": CORRECT, "help": "The metric that says whether one is correct."},
    )
    base_settings: dict[str, Any] = field(default_factory=dict, metadata=BASE_SETTINGS_FIELD)
    threshold: float = field(
        default=1.0, metadata={"low": 0.0, "high": 100.0, "help": "A completion is correct from this value on."}
    )

    def __post_init__(self) -> None:
        settings_of(self.metric, self.base_settings)


class PassAtK:
    name = "pass_at_k"
    title = "pass@k"
    about = "The chance that at least one of k completions is correct, estimated without bias from all of a row's."
    citation = "Chen et al., 2021: Evaluating large language models trained on code, equation 1"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "several"
    settings = Settings
    figures = (Figure("pass_at_k", "pass@k"),)

    def rows(
        self, predictions: Groups, references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        k = k_of(settings.k, predictions)
        values, base = completion_values(settings.metric, predictions, references, settings.base_settings)
        shares = [pass_at_k(len(row), int(np.sum(row >= settings.threshold)), k) for row in values]
        sample = Sample(np.array(shares), proportion=all(share in (0.0, 1.0) for share in shares))
        signature = f"k:{k}|{settings.metric} from {settings.threshold:g}|{base}"
        return Rows({"pass_at_k": sample}, signature)


def pass_at_k(n: int, correct: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k) for c correct ones of n completions, as a product that stays small."""
    if n - correct < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - correct + 1, n + 1)))


METRICS.register(PassAtK.name)(PassAtK())
