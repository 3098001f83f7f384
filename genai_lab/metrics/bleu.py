"""BLEU (Papineni et al., 2002), as sacreBLEU computes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Array, Figure, Sample
from genai_lab.metrics import tokenizing
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows

AUTO = "auto"
MOSTLY_UNSPACED = 0.3
BY_SPACE = ("13a", "intl", "none")
TOKENIZERS = (AUTO, "13a", "intl", "char", "zh", "none")


@dataclass(frozen=True)
class Settings:
    tokenize: str = field(
        default=AUTO,
        metadata={
            "choices": TOKENIZERS,
            "help": "How sacreBLEU cuts words; auto is zh for Chinese references, char for Japanese, Thai and other "
            "scripts without spaces, 13a for the rest.",
        },
    )
    lowercase: bool = field(default=False, metadata={"help": "Case does not count."})


class Bleu:
    name = "bleu"
    title = "BLEU"
    about = "N-gram precision up to 4 over the whole set, with a penalty for brevity; sacreBLEU's own."
    citation = "Papineni et al., 2002; Post, 2018: A call for clarity in reporting BLEU scores"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("bleu", "BLEU", 0.0, 100.0, summed=True),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        from sacrebleu.metrics import BLEU

        texts = [text for row in references for text in row]
        tokenizer = _suited(texts) if settings.tokenize == AUTO else settings.tokenize
        scorer = BLEU(tokenize=tokenizer, lowercase=settings.lowercase)
        result = sum_statistics(scorer, "bleu", _bleu, predictions, references)
        advice = "choose auto, zh or char"
        if tokenizer in BY_SPACE and (warnings := tokenizing.unspaced_warning(texts, tokenizer, advice)):
            result.detail["warnings"] = warnings
        return result


def _suited(texts: Sequence[str]) -> str:
    """sacreBLEU's tokenizer for the references; it needs other programs for Japanese, so characters stand in."""
    if tokenizing.unspaced_share(texts) < MOSTLY_UNSPACED:
        return "13a"
    return "zh" if tokenizing.is_chinese(texts) else "char"


def sum_statistics(
    scorer: Any,
    figure: str,
    combine: Callable[[Array], Array],
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
) -> Rows:
    """Sentence statistics of a sacreBLEU scorer; `combine` is its corpus figure of many sums at once.

    Both sides are composed (NFC) first, so that one letter written in two ways counts as one.
    """
    composed = tokenizing.compose_characters(predictions)
    streams = transpose_references([tokenizing.compose_characters(row) for row in references])
    scorer._check_corpus_score_args(composed, streams)
    parts = np.array(scorer._extract_corpus_statistics(composed, streams), dtype=float)
    return Rows({figure: Sample(parts, combine, shown=combine(parts).tolist())}, str(scorer.get_signature()))


def _bleu(sums: Array) -> Array:
    """BLEU of (R, 10): lengths of both sides, matches and n-grams of each order; smoothing `exp`, as sacreBLEU's.

    An order without a match counts as half, a quarter, ... of one; without any match, or n-gram of an order, it is 0.
    """
    lengths, reference_lengths = sums[:, 0], sums[:, 1]
    matches, total = sums[:, 2:6], sums[:, 6:10]
    halves = 2.0 ** np.cumsum(matches == 0, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(matches == 0, 1 / halves, matches) / total
        brevity = np.where(lengths < reference_lengths, np.exp(1 - reference_lengths / lengths), 1.0)
    defined = np.asarray(np.all(total > 0, axis=1) & np.any(matches > 0, axis=1))
    means = np.exp(np.log(np.where(defined[:, None], precision, 1.0)).mean(axis=1))
    return np.where(defined, 100 * brevity * means, 0.0)


def transpose_references(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """sacreBLEU wants one stream a reference; rows with fewer have None."""
    most = max(len(row) for row in references)
    return [[row[index] if index < len(row) else None for row in references] for index in range(most)]


METRICS.register(Bleu.name)(Bleu())
