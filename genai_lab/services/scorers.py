"""Models that score texts, found in the catalogue by name: classifiers, language models as judges, reward models."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS, MetricSpec, requirements, settings_of
from genai_lab.models import Card, Options, bert_scorer
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
    if required.scorer == "vectors":
        return embedding.Embedder(lab, required.model)
    if required.scorer == "token vectors":
        return CachedBertScorer(lab, required.model, settings.layer)
    kind = CachedRewardModel if required.scorer == "pairs" else CachedScorer
    return kind(lab, models.show(lab, required.model).card, inputs)


def dtype_of(lab: LabContext, choices: Sequence[MetricSpec]) -> str | None:
    """What the models that these metrics ask are computed in: float32; None where none of this machine is asked."""
    required = [requirements(METRICS.get(item.metric), settings_of(item.metric, item.settings)) for item in choices]
    remote = {view.card.name for view in models.catalogue(lab) if not view.card.has_weights}
    return "float32" if any(item.scorer and item.model not in remote for item in required) else None


def check(lab: LabContext, metric: str, settings: Any) -> None:
    """Raises LabError where the model that a metric asks is not there; loads nothing."""
    required = requirements(METRICS.get(metric), settings)
    if required.scorer == "token vectors":
        bert_scorer.check_installed()
    if required.scorer in ("vectors", "token vectors"):
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

    def label_values(self, texts: Sequence[str], label: str = "", form: str = "log-odds") -> list[float]:
        with self._scorer() as scorer:
            return list(scorer.label_values(texts, label, form))

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


class CachedBertScorer:
    """BERTScore's own way of using an encoder of the catalogue, in the lab's memory budget beside the embedder itself.

    Raises ModelError where the library or the layer is missing.
    """

    def __init__(self, lab: LabContext, model: str, layer: int = 0) -> None:
        bert_scorer.check_installed()
        card = models.with_hash(lab, embedding.show(lab, model).card)
        self._lab, self._layer, self.hash = lab, layer, card.content_hash or card.name
        self._card = replace(card, name=f"{card.name} (BERTScore{f', layer {layer}' if layer else ''})")
        with self._scorer() as scorer:
            self.bert_score_signature = (
                f"model:{card.name}|hash:{self.hash[:12]}|layer {scorer.layer}|no idf|not rescaled|{scorer.library}"
            )

    def bert_scores(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(precision, recall, F1) of each text, (n, 3)."""
        with self._scorer() as scorer:
            scores: NDArray[np.float64] = scorer.bert_scores(texts, references)
            return scores

    def _scorer(self) -> AbstractContextManager[Any]:
        def load(card: Card, options: Options, base: object) -> bert_scorer.BertScorer:
            from genai_lab.models.transformers import choose_device

            return bert_scorer.BertScorer(card, choose_device(options.device), self._layer)

        return self._lab.models.scoring(self._card, load)
