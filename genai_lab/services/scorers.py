"""Models that score texts, found in the catalogue by name: classifiers, language models as judges, reward models."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS, requirements
from genai_lab.models import Card
from genai_lab.models.scorer import LogProbability, PromptLike, Scorer
from genai_lab.services import embedding, models


def scorer_for(lab: LabContext, metric: str, settings: Any, inputs: Sequence[str] = ()) -> Any:
    """The model that a metric asks with these settings, loaded; None where it asks none.

    `inputs` are those of the rows, which an encoder-decoder and a reward model read before they score. Raises
    UnknownName or ModelError.
    """
    required = requirements(METRICS.get(metric), settings)
    if not required.scorer:
        return None
    if required.scorer in EMBEDDERS:
        return EMBEDDERS[required.scorer](lab, required.model)
    kind = CachedRewardModel if required.scorer == "pairs" else CachedScorer
    return kind(lab, models.show(lab, required.model).card, inputs)


def check(lab: LabContext, metric: str, settings: Any) -> None:
    """Raises LabError where the model that a metric asks is not there; loads nothing."""
    required = requirements(METRICS.get(metric), settings)
    if required.scorer in EMBEDDERS:
        embedding.show(lab, required.model)
    elif required.scorer and not required.model:
        raise LabError(f"{METRICS.get(metric).title} asks a model, and none is named; choose one of the catalogue.")
    elif required.scorer:
        models.check_ready(models.show(lab, required.model))


class CachedScorer:
    """A model that scores, in the lab's memory budget: loaded when it is made, and again if it made room meanwhile.

    Raises ModelError where the model cannot be loaded or is of another family.
    """

    def __init__(self, lab: LabContext, card: Card, inputs: Sequence[str] = ()) -> None:
        self._lab, self._inputs = lab, tuple(inputs)
        self.card = models.with_hash(lab, card)
        with self._scorer() as scorer:
            self.hash, self.reads_input = scorer.hash, scorer.reads_input

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        with self._scorer() as scorer:
            return list(scorer.scores(texts, label))

    def log_probabilities(self, texts: Sequence[str]) -> list[LogProbability]:
        with self._scorer() as scorer:
            return list(scorer.log_probabilities(texts, self._inputs))

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> list[float]:
        with self._scorer() as scorer:
            return list(scorer.rewards(prompts, completions))

    def _scorer(self) -> AbstractContextManager[Scorer]:
        return self._lab.models.scoring(self.card)


class CachedRewardModel(CachedScorer):
    """A reward model as a metric asks it: a text's score is its reward given the input."""

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        return list(self.rewards(self._inputs, texts))


EMBEDDERS: dict[str, Callable[[LabContext, str], Any]] = {"vectors": embedding.Embedder}
