"""What an annotator's answers say of the annotator: the same again on a repeated item, and a liking for one side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.feedback import verdicts
from genai_lab.feedback.agreement import clustered_share


@dataclass(frozen=True)
class Share:
    """A share of `n` pairs of candidates with its 95 % interval over items, since pairs of one ranking go together;
    `value` is None for n = 0. `p` is a two-sided exact test against one half, where that is asked.
    """

    value: float | None
    low: float
    high: float
    n: int
    p: float | None = None


def consistency(twice: Sequence[tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]]) -> Share:
    """The share of pairs of candidates on which an annotator says the same the second time, sides swapped.

    Each entry holds the verdicts (see `verdicts`) of the first and of the second answer.
    """
    same = [sum(first[key] == second[key] for key in first.keys() & second.keys()) for first, second in twice]
    return _share(np.array(same), np.array([len(first.keys() & second.keys()) for first, second in twice]))


def position(
    display_orders: Sequence[Sequence[int]], groups: Sequence[Sequence[Sequence[int]]], items: Sequence[int] = ()
) -> Share:
    """The share of verdicts that go to the candidate shown earlier, ties aside; one half where sides do not matter.

    `items` tells the item of each ranking, by default one each. The order of each was drawn by itself, so that the
    test turns whole rankings around.
    """
    first, n = np.zeros(len(display_orders), dtype=np.int64), np.zeros(len(display_orders), dtype=np.int64)
    for number, (order, ranking) in enumerate(zip(display_orders, groups, strict=True)):
        earlier_at = {candidate: where for where, candidate in enumerate(order)}
        signs = [
            sign
            for sign in verdicts([[earlier_at[candidate] for candidate in group] for group in ranking]).values()
            if sign
        ]
        first[number], n[number] = signs.count(1), len(signs)
    _, cluster = np.unique(items if len(items) else np.arange(len(display_orders)), return_inverse=True)
    return _share(np.bincount(cluster, first), np.bincount(cluster, n), _by_chance(2 * first - n))


def _share(hits: NDArray[Any], sizes: NDArray[Any], p: float | None = None) -> Share:
    n = int(sizes.sum())
    return Share(float(hits.sum()) / n if n else None, *clustered_share(hits, sizes), n, p if n else None)


def _by_chance(leads: NDArray[np.int64]) -> float:
    """The exact share of all ways to turn signs in which the sum is as far from 0 as it is."""
    from scipy.signal import fftconvolve
    from scipy.stats import binom

    chances = np.ones(1)
    for size, count in zip(*np.unique(np.abs(leads[leads != 0]), return_counts=True), strict=True):
        part = np.zeros(2 * size * count + 1)
        part[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = fftconvolve(chances, part)
    sums = np.abs(np.arange(len(chances)) - len(chances) // 2)
    return float(np.clip(chances[sums >= abs(leads.sum())].sum(), 0.0, 1.0))
