"""Token F1: words shared with the best reference, as question answering counts them."""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics import tokenizing
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)


def squad(text: str) -> list[str]:
    """Lower case, without ASCII punctuation and articles, as SQuAD's script does."""
    plain = "".join(letter for letter in text.lower() if letter not in _PUNCTUATION)
    return _ARTICLES.sub(" ", plain).split()


def unicode_words(text: str) -> list[str]:
    """As SQuAD's, but without all punctuation, and by character in scripts without spaces (Lewis et al., 2020)."""
    plain = tokenizing.without_punctuation(tokenizing.normal(text))
    return tokenizing.separate_words(_ARTICLES.sub(" ", plain))


CUTS: dict[str, tuple[Callable[[str], list[str]], str]] = {
    "auto": (unicode_words, "squad normalisation, punctuation and unspaced scripts by Unicode, nfc"),
    "squad": (squad, "squad normalisation"),
    "characters": (tokenizing.characters, "characters by Unicode, nfc"),
}


@dataclass(frozen=True)
class Settings:
    tokenizer: str = field(
        default="auto",
        metadata={
            "choices": tuple(CUTS),
            "help": "squad knows ASCII punctuation and spaces; auto also all punctuation, and counts characters of "
            "scripts without spaces.",
        },
    )


class TokenF1:
    name = "token_f1"
    title = "Token F1"
    about = "Harmonic mean of precision and recall of words, articles and punctuation apart; the best reference counts."
    citation = "Rajpurkar et al., 2016: SQuAD; Lewis et al., 2020: MLQA"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("token_f1", "token F1"),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        cut, signature = CUTS[settings.tokenizer]
        values = [
            max(_f1(cut(prediction), cut(reference)) for reference in row)
            for prediction, row in zip(predictions, references, strict=True)
        ]
        detail: dict[str, Any] = {}
        if settings.tokenizer == "squad":
            texts = [*predictions, *(text for reference in references for text in reference)]
            if warnings := tokenizing.unspaced_warning(texts, "squad", "choose the tokenizer auto"):
                detail["warnings"] = warnings
        return Rows({"token_f1": Sample(np.array(values))}, f"{signature}|best reference", detail)


def _f1(predicted: list[str], expected: list[str]) -> float:
    if not predicted or not expected:
        return float(predicted == expected)
    common = sum((Counter(predicted) & Counter(expected)).values())
    return 2 * common / (len(predicted) + len(expected))


METRICS.register(TokenF1.name)(TokenF1())
