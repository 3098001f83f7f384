"""Perplexity of completions or references: how surprised a language model is, a token (Jelinek et al., 1977)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Array, Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows


@dataclass(frozen=True)
class Settings:
    model: str = field(
        default="starter-causal",
        metadata={
            "help": "A decoder-only or encoder-decoder model of the catalogue; the latter reads the input first.",
            "role": "generate",
        },
    )
    of: str = field(
        default="predictions",
        metadata={"choices": ("predictions", "references"), "help": "Which texts; of references the first one counts."},
    )


class Perplexity:
    name = "perplexity"
    title = "Perplexity"
    about = "e to the mean negative log-probability of all tokens; only comparable under one model and tokenizer."
    citation = "Jelinek et al., 1977: Perplexity, a measure of the difficulty of speech recognition tasks"
    needs = "model"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("perplexity", "perplexity", 1.0, None, higher_is_better=False, summed=True),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        if model is None:
            raise LabError(
                f"Perplexity needs the model {settings.model!r}; choose one of the catalogue that writes text."
            )
        texts = predictions
        if settings.of == "references":
            if len(references) != len(predictions) or not all(references):
                raise LabError("Perplexity of references needs a reference in every row; name their column.")
            texts = [row[0] for row in references]
        log_probabilities = model.log_probabilities(texts)
        parts = np.array([[-row.total, row.tokens] if row.tokens else [np.nan, np.nan] for row in log_probabilities])
        values = [float(np.exp(-row.total / row.tokens)) if row.tokens else None for row in log_probabilities]
        context = "given the input" if model.reads_input else "alone"
        signature = f"model:{settings.model}|hash:{model.hash[:12]}|of:{settings.of}|{context}|weighted by tokens"
        return Rows({"perplexity": Sample(parts, _perplexity, shown=values)}, signature)


def _perplexity(sums: Array) -> Array:
    """Sums of (negative log-probability, tokens), (R, 2)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.exp(sums[:, 0] / sums[:, 1])


METRICS.register(Perplexity.name)(Perplexity())
