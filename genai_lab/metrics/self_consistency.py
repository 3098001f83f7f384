"""Self-consistency: the answer that most of a row's completions give, and how many agree (Wang et al., 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.evaluation.voting import ANSWERS, answer_of, majority
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows
from genai_lab.metrics.exact_match import Settings as Normalisation
from genai_lab.metrics.grouping import Groups


@dataclass(frozen=True)
class Settings(Normalisation):
    """As exact match, of the part of a completion that is its answer."""

    answer: str = field(
        default="whole text",
        metadata={"choices": tuple(ANSWERS), "help": "Which part of a completion is its answer; the rest has no vote."},
    )


class SelfConsistency:
    name = "self_consistency"
    title = "Self-consistency"
    about = "Whether the answer that most completions of a row give is right, and the share of them that give it."
    citation = "Wang et al., 2023: Self-consistency improves chain of thought reasoning in language models"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "several"
    settings = Settings
    figures = (Figure("majority_vote", "majority vote"), Figure("agreement", "agreement"))

    def rows(
        self, predictions: Groups, references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        votes = [
            majority([settings.normal(answer_of(text, settings.answer)) for text in texts]) for texts in predictions
        ]
        hits = [
            vote.answer in {settings.normal(text) for text in texts}
            for vote, texts in zip(votes, references, strict=True)
        ]
        samples = {
            "majority_vote": Sample(np.array(hits, dtype=float), proportion=True),
            "agreement": Sample(np.array([vote.share for vote in votes])),
        }
        sizes = sorted({len(texts) for texts in predictions})
        counted = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        return Rows(samples, f"votes:{counted}|{settings.answer}|ties to the first|{settings.signature}")


METRICS.register(SelfConsistency.name)(SelfConsistency())
