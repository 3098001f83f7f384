"""BLEU (Papineni et al., 2002), as sacreBLEU computes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.metrics import METRICS, Array, Figure, Rows, Sample

TOKENIZERS = ("13a", "intl", "char", "zh", "none")


@dataclass(frozen=True)
class Settings:
    tokenize: str = field(default="13a", metadata={"choices": TOKENIZERS, "help": "How sacreBLEU cuts words."})
    lowercase: bool = field(default=False, metadata={"help": "Case does not count."})


class Bleu:
    name = "bleu"
    title = "BLEU"
    about = "N-gram precision up to 4 over the whole set, with a penalty for brevity; sacreBLEU's own."
    citation = "Papineni et al., 2002; Post, 2018: A call for clarity in reporting BLEU scores"
    needs = "references"
    settings = Settings
    figures = (Figure("bleu", "BLEU", 0.0, 100.0, summed=True),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        from sacrebleu.metrics import BLEU

        scorer = BLEU(tokenize=settings.tokenize, lowercase=settings.lowercase)
        return summed(scorer, "bleu", _bleu, predictions, references)


def summed(
    scorer: Any,
    figure: str,
    combine: Callable[[Array], Array],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
) -> Rows:
    """Sentence statistics of a sacreBLEU scorer; `combine` is its corpus figure of many sums at once."""
    streams = transposed(references)
    scorer._check_corpus_score_args(list(predictions), streams)
    parts = np.array(scorer._extract_corpus_statistics(list(predictions), streams), dtype=float)
    return Rows({figure: Sample(parts, combine, shown=combine(parts).tolist())}, str(scorer.get_signature()))


def _bleu(sums: Array) -> Array:
    """BLEU of (R, 10): lengths of both sides, matches and n-grams of each order; smoothing `exp`, as sacreBLEU's.

    An order without a match counts as half, a quarter, ... of one; without any match, or n-gram of an order, it is 0.
    """
    made, wanted = sums[:, 0], sums[:, 1]
    matches, total = sums[:, 2:6], sums[:, 6:10]
    halves = 2.0 ** np.cumsum(matches == 0, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(matches == 0, 1 / halves, matches) / total
        brevity = np.where(made < wanted, np.exp(1 - wanted / made), 1.0)
    known = np.asarray(np.all(total > 0, axis=1) & np.any(matches > 0, axis=1))
    means = np.exp(np.log(np.where(known[:, None], precision, 1.0)).mean(axis=1))
    return np.where(known, 100 * brevity * means, 0.0)


def transposed(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """sacreBLEU wants one stream a reference; rows with fewer have None."""
    most = max(len(one) for one in references)
    return [[one[place] if place < len(one) else None for one in references] for place in range(most)]


METRICS.register(Bleu.name)(Bleu())
