"""The model that a metric asks, found in the catalogue by the name in the metric's settings."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from genai_lab.lab import Lab
from genai_lab.metrics import METRICS, Classifier
from genai_lab.models import Card
from genai_lab.models.judge import Judge
from genai_lab.models.rewards import PromptedReward
from genai_lab.services import models, rewards


def judge_of(lab: Lab, metric: str, settings: Any, sources: Sequence[str] = ()) -> Classifier | None:
    """The loaded model, None for a metric that asks none; raises UnknownName or ModelError.

    `sources` are the inputs of the rows, which an encoder-decoder and a reward model read before they judge.
    """
    if METRICS.get(metric).needs != "model":
        return None
    if getattr(METRICS.get(metric), "reads", "") == "pairs":
        return PromptedReward(rewards.loaded(models.show(lab, settings.model).card), sources)
    return _loaded(models.show(lab, settings.model).card).given(sources)


@lru_cache(2)
def _loaded(card: Card) -> Judge:
    """Kept between the systems of one evaluation; small, since judges live outside the memory budget."""
    return Judge(card)
