"""What a prediction shares with a reference, as places in its text: for reading, not for scoring."""

from dataclasses import dataclass

from genai_lab.metrics.tokenizing import normal, word_spans

Span = tuple[int, int]
SHORTEST = 2


@dataclass(frozen=True)
class Matches:
    """Spans (start, end) in characters of the prediction.

    `ngrams` are runs of at least two words that stand in the reference too; `lcs` are the words of one longest common
    subsequence (as ROUGE-L counts).
    """

    ngrams: tuple[Span, ...]
    lcs: tuple[Span, ...]


def matches(prediction: str, reference: str) -> Matches:
    """Words are compared without case; in scripts without spaces every character is one."""
    from rapidfuzz.distance import LCSseq

    spans = word_spans(prediction)
    words_a = [normal(prediction[start:end]) for start, end in spans]
    words_b = [normal(reference[start:end]) for start, end in word_spans(reference)]
    common = [
        index
        for block in LCSseq.opcodes(words_a, words_b)
        if block.tag == "equal"
        for index in range(block.src_start, block.src_end)
    ]
    return Matches(tuple(_runs(words_a, words_b, spans)), tuple(spans[index] for index in common))


def _runs(predicted: list[str], expected: list[str], spans: list[Span]) -> list[Span]:
    """The longest runs that occur in the reference, from left to right, none within another."""
    grams = {tuple(expected[i : i + SHORTEST]) for i in range(len(expected) - SHORTEST + 1)}
    runs: list[Span] = []
    start = 0
    while start <= len(predicted) - SHORTEST:
        end = start
        while end + SHORTEST <= len(predicted) and tuple(predicted[end : end + SHORTEST]) in grams:
            end += 1
        if end > start:
            runs.append((spans[start][0], spans[end + SHORTEST - 2][1]))
            start = end + SHORTEST - 1
        else:
            start += 1
    return runs
