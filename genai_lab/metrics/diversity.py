"""How varied completions are: distinct n-grams, and how often one repeats itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows
from genai_lab.metrics.length import CUTS, tokenizer_field, warnings_of


@dataclass(frozen=True)
class Settings:
    n: int = field(default=2, metadata={"low": 1, "high": 5, "help": "Length of the n-grams in words."})
    tokenizer: str = tokenizer_field()


class Diversity:
    name = "diversity"
    title = "Diversity"
    about = "Different n-grams as a share of all, within a completion; and the share of repeated n-grams."
    citation = "Li et al., 2016: A diversity-promoting objective function; Welleck et al., 2020 (rep)"
    needs = "text"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (
        Figure("distinct", "distinct-n"),
        Figure("repetition", "repetition", higher_is_better=False),
    )

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        cut, named = CUTS[settings.tokenizer]
        shares = np.array([_distinct(cut(text), settings.n) for text in predictions])
        samples = {"distinct": Sample(shares), "repetition": Sample(1 - shares)}
        signature = f"n:{settings.n}|{named}|within a completion"
        return Rows(samples, signature, warnings_of(settings.tokenizer, predictions))


def _distinct(tokens: list[str], n: int) -> float:
    """NaN for a text shorter than n words."""
    grams = list(zip(*(tokens[start:] for start in range(n)), strict=False))
    return len(set(grams)) / len(grams) if grams else float("nan")


METRICS.register(Diversity.name)(Diversity())
