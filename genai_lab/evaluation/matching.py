"""What a prediction shares with a reference, as places in its text: for reading, not for scoring."""

import re
from dataclasses import dataclass

Span = tuple[int, int]
SHORTEST = 2
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Matches:
    """Spans (start, end) in characters of the prediction.

    `ngrams` are runs of at least two words that stand in the reference too; `lcs` are the words of one longest common
    subsequence (as ROUGE-L counts).
    """

    ngrams: tuple[Span, ...]
    lcs: tuple[Span, ...]


def matches(prediction: str, reference: str) -> Matches:
    """Words are compared without case."""
    from rapidfuzz.distance import LCSseq

    found = [(one.group().casefold(), one.span()) for one in _WORD.finditer(prediction)]
    made = [word for word, _ in found]
    wanted = [one.group().casefold() for one in _WORD.finditer(reference)]
    spans = [span for _, span in found]
    common = [
        place
        for block in LCSseq.opcodes(made, wanted)
        if block.tag == "equal"
        for place in range(block.src_start, block.src_end)
    ]
    return Matches(tuple(_runs(made, wanted, spans)), tuple(spans[place] for place in common))


def _runs(made: list[str], wanted: list[str], spans: list[Span]) -> list[Span]:
    """The longest runs that occur in the reference, from left to right, none within another."""
    grams = {tuple(wanted[i : i + SHORTEST]) for i in range(len(wanted) - SHORTEST + 1)}
    runs: list[Span] = []
    start = 0
    while start <= len(made) - SHORTEST:
        end = start
        while end + SHORTEST <= len(made) and tuple(made[end : end + SHORTEST]) in grams:
            end += 1
        if end > start:
            runs.append((spans[start][0], spans[end + SHORTEST - 2][1]))
            start = end + SHORTEST - 1
        else:
            start += 1
    return runs
