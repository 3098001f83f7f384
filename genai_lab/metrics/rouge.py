"""ROUGE-1, -2, -L and -Lsum (Lin, 2004), equal to the rouge_score library and many times faster.

That library reads a-z and 0-9 alone; other languages are cut into words by Unicode (see `tokenizing`).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from genai_lab.evaluation.sample import Array, Figure, Sample
from genai_lab.metrics import tokenizing
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows

KINDS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "rougeLsum": "ROUGE-Lsum"}
PARTS = {"precision": "precision", "recall": "recall", "f1": "F1"}
CHUNK = 4096
AUTO, LIBRARY = "auto", "rouge_score"
CUTS: dict[str, Callable[[str], list[str]]] = {"words": tokenizing.words, "characters": tokenizing.characters}
_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"
_SPACES = bytes(code if code in _LETTERS else 32 for code in range(256))


@dataclass(frozen=True)
class Settings:
    use_stemmer: bool = field(
        default=True, metadata={"help": "English words are cut to their stems (Porter, 1980); with rouge_score only."}
    )
    lsum: bool = field(
        default=True, metadata={"help": "Also ROUGE-Lsum, which reads every line as a sentence and takes most time."}
    )
    tokenizer: str = field(
        default=AUTO,
        metadata={
            "choices": (AUTO, LIBRARY, *CUTS),
            "help": "rouge_score reads a-z and 0-9; words are Unicode's, by character in scripts without spaces; "
            "auto takes rouge_score for English references and words for others.",
        },
    )


class Rouge:
    name = "rouge"
    title = "ROUGE"
    about = "Overlap of words, word pairs and common subsequence with the reference; the best reference counts."
    citation = "Lin, 2004: ROUGE, a package for automatic evaluation of summaries"
    needs = "references"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = tuple(
        Figure(f"{kind}_{part}" if part != "f1" else kind, f"{title} {word}", more=part != "f1")
        for kind, title in KINDS.items()
        for part, word in sorted(PARTS.items(), key=lambda item: item[0] != "f1")
    )

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        kinds = list(KINDS)[: None if settings.lsum else 3]
        tokenizer = settings.tokenizer
        if tokenizer == AUTO:
            tokenizer = "words" if tokenizing.is_foreign([text for row in references for text in row]) else LIBRARY
        stems = settings.use_stemmer and tokenizer == LIBRARY
        tokenizer_ids = _Words(stems) if tokenizer == LIBRARY else _Tokens(CUTS[tokenizer])
        table = np.concatenate(
            [
                _best(
                    predictions[start : start + CHUNK], references[start : start + CHUNK], tokenizer_ids, settings.lsum
                )
                for start in range(0, len(predictions), CHUNK)
            ]
        )
        samples = {
            name + ending: Sample(table[:, kind, part])
            for kind, name in enumerate(kinds)
            for part, ending in enumerate(("_precision", "_recall", ""))
        }
        most = max(len(row) for row in references)
        best, stem = "(best)" if most > 1 else "", "yes" if stems else "no"
        named = "as rouge_score 0.1.2" if tokenizer == LIBRARY else f"tok:{tokenizer} by Unicode|nfc"
        warnings = _warnings(predictions, references) if tokenizer == LIBRARY else []
        return Rows(samples, f"refs:{most}{best}|stem:{stem}|{named}", {"warnings": warnings} if warnings else {})


def _warnings(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
    """Tells of rows whose words rouge_score does not read."""
    rows = [
        row
        for row, (prediction, expected) in enumerate(zip(predictions, references, strict=True))
        if any(
            not text.isascii() and tokenizing.is_mostly_dropped(text, _read(text)) for text in (prediction, *expected)
        )
    ]
    advice = "choose the tokenizer words"
    return tokenizing.dropped_warning(rows, len(predictions), "rouge_score's tokenizer (a-z and 0-9)", advice)


def _read(text: str) -> str:
    """The text as rouge_score reads it: other characters are spaces."""
    return text.lower().encode("ascii", "replace").translate(_SPACES).decode("ascii")


class _Tokens(dict[str, int]):
    """Each token's number, where a function cuts the text."""

    def __init__(self, cut: Callable[[str], list[str]]) -> None:
        super().__init__()
        self._cut = cut

    def __missing__(self, token: str) -> int:
        self[token] = number = len(self)
        return number

    def ids(self, text: str) -> list[int]:
        return list(map(self.__getitem__, self._cut(text)))


class _Words(dict[bytes, int]):
    """Each word's number. Words with one stem share it; words of at most three letters are their own stems."""

    def __init__(self, stem: bool) -> None:
        super().__init__()
        self._stem = stem
        self._stems: dict[str, int] = {}

    def __missing__(self, word: bytes) -> int:
        text = word.decode("ascii")
        stem = _stem(text) if self._stem and len(text) > 3 else text
        self[word] = number = self._stems.setdefault(stem, len(self._stems))
        return number

    def ids(self, text: str) -> list[int]:
        """The text's words, which are runs of a-z and 0-9 in lower case."""
        return list(map(self.__getitem__, text.lower().encode("ascii", "replace").translate(_SPACES).split()))


@lru_cache(1)
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@lru_cache(200_000)
def _stem(word: str) -> str:
    return str(_stemmer().stem(word))


def _best(
    predictions: Sequence[str], references: Sequence[Sequence[str]], vocabulary: "_Words | _Tokens", lsum: bool
) -> Array:
    """(rows, kinds, 3) precision, recall and F1; each kind takes the reference with the best F1."""
    from rapidfuzz.distance import LCSseq

    several = [len(item) for item in references]
    prediction_ids = [
        ids for text, count in zip(predictions, several, strict=True) for ids in [vocabulary.ids(text)] * count
    ]
    reference_ids = [vocabulary.ids(text) for item in references for text in item]
    sizes = np.array([[len(item) for item in side] for side in (prediction_ids, reference_ids)])
    common = [LCSseq.similarity(a, b) if a and b else 0 for a, b in zip(prediction_ids, reference_ids, strict=True)]
    hits = [_overlap(prediction_ids, reference_ids, 1), _overlap(prediction_ids, reference_ids, 2), np.array(common)]
    totals = [sizes, np.maximum(sizes - 1, 0), sizes]
    if lsum:
        texts = [(text, item) for text, those in zip(predictions, references, strict=True) for item in those]
        hits.append(np.array([_summary(*pair, vocabulary, count) for pair, count in zip(texts, common, strict=True)]))
        totals.append(sizes)
    scores = np.stack([_shares(*item) for item in zip(hits, totals, strict=True)], axis=1)
    if len(scores) == len(predictions):
        return scores
    ends = np.cumsum(several)
    parts = [scores[end - count : end] for end, count in zip(ends, several, strict=True)]
    return np.stack([np.take_along_axis(item, item[:, :, 2].argmax(0)[None, :, None], 0)[0] for item in parts])


def _shares(hits: Array, totals: Array) -> Array:
    """(pairs, 3) of hits (pairs,) and how many there are on both sides (2, pairs)."""
    precision, recall = hits / np.maximum(totals, 1)
    total = precision + recall
    f1 = np.where(total > 0, 2 * precision * recall / np.where(total > 0, total, 1), 0.0)
    return np.stack([precision, recall, f1], axis=1)


def _overlap(predicted: Sequence[list[int]], expected: Sequence[list[int]], n: int) -> Array:
    """(pairs,) n-grams in common, each as often as on the side that has fewer of it. n is 1 or 2."""
    base = 1 + max(max(chain.from_iterable(predicted), default=0), max(chain.from_iterable(expected), default=0))
    sides = []
    for texts in (predicted, expected):
        sizes = np.array([len(one) for one in texts])
        ids = np.fromiter(chain.from_iterable(texts), np.int64, sizes.sum())
        owner = np.repeat(np.arange(len(texts)), sizes)
        if n == 2:
            within = owner[:-1] == owner[1:]
            ids, owner = (ids[:-1] * base + ids[1:])[within], owner[:-1][within]
        sides.append(np.unique(owner * base**n + ids, return_counts=True))
    (first_keys, first_counts), (right, fewer) = sides
    both, a, b = np.intersect1d(first_keys, right, assume_unique=True, return_indices=True)
    return np.asarray(np.bincount(both // base**n, np.minimum(first_counts[a], fewer[b]), len(predicted)), dtype=float)


def _summary(prediction: str, reference: str, vocabulary: "_Words | _Tokens", common: int) -> int:
    """Hits of ROUGE-Lsum: union of common subsequences over sentences, which are lines (Lin, 2004, section 3.2)."""
    if "\n" not in prediction and "\n" not in reference:
        return common
    predicted, expected = (
        [vocabulary.ids(line) for line in text.split("\n") if line] for text in (prediction, reference)
    )
    remaining = [Counter(word for line in side for word in line) for side in (predicted, expected)]
    hits = 0
    for line in expected:
        for index in sorted(set().union(*(_places(line, other) for other in predicted))):
            if all(side[line[index]] > 0 for side in remaining):
                hits += 1
                for side in remaining:
                    side[line[index]] -= 1
    return hits


def _places(expected: list[int], predicted: list[int]) -> set[int]:
    """Places in `wanted` of the common subsequence that rouge_score reads out of its table, ties included.

    The table's rows are bit vectors, whose zeros below bit j count the subsequence's length (Hyyrö, 2004).
    """
    all_bits = (1 << len(predicted)) - 1
    where: dict[int, int] = {}
    for index, word in enumerate(predicted):
        where[word] = where.get(word, 0) | 1 << index
    table = [all_bits]
    for word in expected:
        row = table[-1]
        hit = row & where.get(word, 0)
        table.append((row + hit | row - hit) & all_bits)
    indices, i, j = set(), len(expected), len(predicted)
    while i and j:
        if expected[i - 1] == predicted[j - 1]:
            i, j = i - 1, j - 1
            indices.add(i)
        elif j - 1 - (table[i] & (1 << j - 1) - 1).bit_count() > j - (table[i - 1] & (1 << j) - 1).bit_count():
            j -= 1
        else:
            i -= 1
    return indices


METRICS.register(Rouge.name)(Rouge())
