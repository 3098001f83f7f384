"""What an annotator's answers say of the annotator: the same again on a repeated item, and a liking for one side."""

from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.feedback.agreement import wilson


@dataclass(frozen=True)
class Share:
    """`count` of `n` with Wilson's 95 % interval; `value` is None for n = 0. `p` is a two-sided exact test against
    one half, where that is asked.
    """

    value: float | None
    low: float
    high: float
    n: int
    p: float | None = None


def share(count: int, n: int, tested: bool = False) -> Share:
    from scipy.stats import binomtest

    low, high = wilson(count, n)
    p = float(binomtest(count, n).pvalue) if tested and n else None
    return Share(count / n if n else None, low, high, n, p)


def consistency(twice: Sequence[tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]]) -> Share:
    """The share of pairs of candidates on which an annotator says the same the second time, sides swapped.

    Each entry holds the verdicts (see `verdicts`) of the first and of the second answer.
    """
    pairs = [(first[key], second[key]) for first, second in twice for key in first.keys() & second.keys()]
    return share(sum(a == b for a, b in pairs), len(pairs))


def position(shown: Sequence[Sequence[int]], groups: Sequence[Sequence[Sequence[int]]]) -> Share:
    """The share of verdicts that go to the candidate shown earlier, ties aside; one half where sides do not matter."""
    first = n = 0
    for order, ranking in zip(shown, groups, strict=True):
        place = {one: where for where, one in enumerate(order)}
        rank = {one: where for where, group in enumerate(ranking) for one in group}
        for number, a in enumerate(order):
            for b in order[number + 1 :]:
                if a in rank and b in rank and rank[a] != rank[b]:
                    better = a if rank[a] < rank[b] else b
                    first += place[better] == min(place[a], place[b])
                    n += 1
    return share(first, n, tested=True)
