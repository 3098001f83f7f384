"""Length of completions: in words, and as a ratio to the reference's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Array, Figure, Sample
from genai_lab.metrics import tokenizing
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows

CUTS: dict[str, tuple[Callable[[str], list[str]], str]] = {
    "auto": (tokenizing.separate_words, "words by space, characters in scripts without spaces"),
    "spaces": (str.split, "words by space"),
    "words": (tokenizing.words, "words by Unicode"),
    "characters": (tokenizing.characters, "characters by Unicode"),
}


def tokenizer_field() -> Any:
    """The setting that says what counts as a word."""
    return field(
        default="auto",
        metadata={
            "choices": tuple(CUTS),
            "help": "What is counted: auto is words by space, and characters in scripts without spaces.",
        },
    )


def warnings_of(tokenizer: str, texts: Sequence[str]) -> dict[str, Any]:
    """The detail of a metric: what to know about words by space."""
    warnings = tokenizing.unspaced_warning(texts, "'spaces'", "choose auto") if tokenizer == "spaces" else []
    return {"warnings": warnings} if warnings else {}


@dataclass(frozen=True)
class Settings:
    tokenizer: str = tokenizer_field()


class LengthRatio:
    name = "length_ratio"
    title = "Length ratio"
    about = "Words of all completions over words of all references (the closest in length); 1 means the same length."
    citation = "Papineni et al., 2002, section 2.2.2"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("ratio", "length ratio", 0.0, None, summed=True),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        cut, named = CUTS[settings.tokenizer]
        lengths = [len(cut(text)) for text in predictions]
        reference_lengths = [
            min((len(cut(reference)) for reference in several), key=lambda size: (abs(size - length), size))
            for length, several in zip(lengths, references, strict=True)
        ]
        ratios = [length / size if size else None for length, size in zip(lengths, reference_lengths, strict=True)]
        parts = np.array([lengths, reference_lengths], dtype=float).T
        texts = [*predictions, *(text for several in references for text in several)]
        samples = {"ratio": Sample(parts, _ratio, shown=ratios)}
        return Rows(samples, f"{named}|closest reference", warnings_of(settings.tokenizer, texts))


def _ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)


METRICS.register(LengthRatio.name)(LengthRatio())
