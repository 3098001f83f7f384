"""The model that a metric asks, found in the catalogue by the name in the metric's settings."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from genai_lab.context import LabContext
from genai_lab.metrics import METRICS, Classifier
from genai_lab.models import Card
from genai_lab.models.reward_model import RewardScorer
from genai_lab.models.text_scorer import LogProbability, TextScorer
from genai_lab.services import models, rewards


def scorer_for(lab: LabContext, metric: str, settings: Any, sources: Sequence[str] = ()) -> Classifier | None:
    """The loaded model, None for a metric that asks none; raises UnknownName or ModelError.

    `sources` are the inputs of the rows, which an encoder-decoder and a reward model read before they judge.
    """
    if METRICS.get(metric).needs != "model":
        return None
    if getattr(METRICS.get(metric), "reads", "") == "pairs":
        return RewardScorer(rewards.CachedRewardModel(lab, models.show(lab, settings.model).card), sources)
    return CachedScorer(lab, models.show(lab, settings.model).card, sources)


class CachedScorer:
    """A judge in the lab's memory budget, loaded when it is made and kept loaded between the systems of an evaluation.

    Raises ModelError where the model cannot be loaded or is of another family.
    """

    def __init__(self, lab: LabContext, card: Card, sources: Sequence[str]) -> None:
        self._lab, self._sources = lab, tuple(sources)
        self.card = models.hashed(lab, card)
        self.hash = self.card.content_hash or card.name
        with self._judge() as judge:
            self.reads_input = judge.reads_input

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        with self._judge() as judge:
            return list(judge.scores(texts, label))

    def log_probabilities(self, texts: Sequence[str]) -> list[LogProbability]:
        with self._judge() as judge:
            return list(judge.given(self._sources).log_probabilities(texts))

    def _judge(self) -> AbstractContextManager[Any]:
        return self._lab.models.using(self.card, lambda card, options, base: TextScorer(card))
