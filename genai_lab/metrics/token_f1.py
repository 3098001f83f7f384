"""Token F1: words shared with the best reference, as question answering counts them."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from genai_lab.metrics import METRICS, Figure, NoSettings, Rows, Sample

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = set(string.punctuation)


class TokenF1:
    name = "token_f1"
    title = "Token F1"
    about = "Harmonic mean of precision and recall of words, articles and punctuation apart; the best reference counts."
    citation = "Rajpurkar et al., 2016: SQuAD"
    needs = "references"
    settings = NoSettings
    figures = (Figure("token_f1", "token F1"),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Any, model: Any = None
    ) -> Rows:
        values = [
            max(_f1(words(made), words(one)) for one in wanted)
            for made, wanted in zip(predictions, references, strict=True)
        ]
        return Rows({"token_f1": Sample(np.array(values))}, "squad normalisation|best reference")


def words(text: str) -> list[str]:
    """Lower case, without punctuation and articles, as SQuAD's script does."""
    plain = "".join(letter for letter in text.lower() if letter not in _PUNCTUATION)
    return _ARTICLES.sub(" ", plain).split()


def _f1(made: list[str], wanted: list[str]) -> float:
    if not made or not wanted:
        return float(made == wanted)
    common = sum((Counter(made) & Counter(wanted)).values())
    return 2 * common / (len(made) + len(wanted))


METRICS.register(TokenF1.name)(TokenF1())
