"""Exact match: the share of predictions that equal one of their references."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics import tokenizing
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows


@dataclass(frozen=True)
class Settings:
    """What does not count when texts are compared; space at both ends and composed letters (NFC) never do."""

    ignore_case: bool = field(default=True, metadata={"help": "Upper and lower case count as equal."})
    ignore_punctuation: bool = field(default=False, metadata={"help": "Punctuation of any script does not count."})
    first_line: bool = field(default=False, metadata={"help": "Only the first line of a completion counts."})

    def normal(self, text: str) -> str:
        text = text.strip()
        if self.first_line:
            text = text.split("\n", 1)[0].strip()
        text = tokenizing.normal(text) if self.ignore_case else unicodedata.normalize("NFC", text)
        if self.ignore_punctuation:
            text = tokenizing.without_punctuation(text)
        return " ".join(text.split())

    @property
    def signature(self) -> str:
        parts = ("case", self.ignore_case), ("punct", self.ignore_punctuation)
        text = "|".join(f"{name}:{'no' if ignored else 'yes'}" for name, ignored in parts)
        return f"{text}|{'first line' if self.first_line else 'whole text'}|nfc"


class ExactMatch:
    name = "exact_match"
    title = "Exact match"
    about = "The share of completions that equal a reference."
    citation = "Rajpurkar et al., 2016: SQuAD"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("exact_match", "exact match"),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        hits = [
            settings.normal(prediction) in {settings.normal(text) for text in row}
            for prediction, row in zip(predictions, references, strict=True)
        ]
        return Rows({"exact_match": Sample(np.array(hits, dtype=float), proportion=True)}, settings.signature)


METRICS.register(ExactMatch.name)(ExactMatch())
