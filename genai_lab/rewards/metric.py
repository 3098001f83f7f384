"""A metric of the completion against the row's reference: a reward that can be verified."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genai_lab.errors import LabError
from genai_lab.metrics import METRICS, requirements
from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind
from genai_lab.settings import check_settings, setting


@dataclass(frozen=True)
class Settings:
    figure: str = setting("", "Which figure of the metric. Empty: its first.")

    def __post_init__(self) -> None:
        check_settings(self)


class MetricReward(RewardKind):
    name = "metric"
    title = "Metric"
    about = "A metric of the completion against the row's reference, such as ROUGE or exact match."
    target = "metric"
    settings = Settings
    needs_reference = True

    def check(self, target: str, settings: Settings) -> None:
        if not target:
            return
        metric = METRICS.get(target)
        required = requirements(metric, metric.settings())
        if metric.predictions_per_row != "one" or required.scorer:
            raise LabError(f"{metric.title} cannot be a reward: it needs a model or several completions per row.")
        names = [figure.name for figure in metric.figures]
        if settings.figure and settings.figure not in names:
            raise LabError(f"{metric.title} has no figure {settings.figure!r}. It has: {', '.join(names)}.")

    def values(self, items: Sequence[RewardInput], target: str, settings: Settings, model: Any) -> list[float]:
        """The figure of each completion, its sign such that more is better."""
        metric = METRICS.get(target)
        figure = next(one for one in metric.figures if settings.figure in ("", one.name))
        predictions, references = [item.completion for item in items], [[item.reference] for item in items]
        values = metric.rows(predictions, references, metric.settings()).samples[figure.name].values
        numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
        return list(numbers if figure.higher_is_better else -numbers)


REWARDS.register("metric")(MetricReward())
