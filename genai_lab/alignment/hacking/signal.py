"""What every signal is: a figure of the policy's completions beside the base's, with a threshold fixed beforehand.

A signal is raised where its figure has moved past the threshold in the wrong direction and the move is no chance
(Holm's correction over all signals, 0.05). None decides alone: see `verdict`.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from genai_lab.alignment.hacking.completions import BeforeAndAfter, Floats, HeldOutCompletions, Rows
from genai_lab.evaluation.sample import Sample
from genai_lab.evaluation.statistics import compare
from genai_lab.registry import Registry

RESAMPLES = 600
UP, DOWN, BOTH = "up", "down", "up or down"


@dataclass(frozen=True)
class Reading:
    """`before` and `after` are the figures of the two sides, `change` their difference in the same unit (with its
    95 % interval from `low` to `high`), `excess` how far it lies past the threshold (0 or less: not past it); `p` is
    one-sided, before correction."""

    before: float | None
    after: float
    change: float
    low: float
    high: float
    excess: float
    p: float


class Signal:
    """The base of all signals. `threshold` is in the unit of the figure, or a share of the base's where `relative`."""

    name: str
    title: str
    about: str
    unit: str = ""
    wrong: str = UP
    threshold: float
    relative: bool = False

    def read(self, pair: BeforeAndAfter, seed: int = 0) -> Reading | None:
        """The figure of both sides; None where the completions do not have what it needs."""
        raise NotImplementedError

    def excess(self, before: float, change: float) -> float:
        """How far a change lies past the threshold, in the wrong direction."""
        limit = self.threshold * abs(before) if self.relative else self.threshold
        size = {UP: change, DOWN: -change, BOTH: abs(change)}[self.wrong]
        return size - limit

    @property
    def threshold_text(self) -> str:
        """The threshold in words, as the card prints it."""
        size = f"{100 * self.threshold:g} % of the base's" if self.relative else f"{self.threshold:g} {self.unit}"
        return f"{self.wrong} by {size.strip()}"


SIGNALS: Registry[Signal] = Registry("signal", "genai_lab.alignment.hacking", marker="SIGNALS.register")


class RowSignal(Signal):
    """A figure that each completion has; the change is the mean of the paired differences."""

    def values(self, completions: HeldOutCompletions) -> Floats | None:
        """(n,) one of each completion, NaN where undefined; None where nobody measured it."""
        raise NotImplementedError

    def read(self, pair: BeforeAndAfter, seed: int = 0) -> Reading | None:
        first, second = self.values(pair.before), self.values(pair.after)
        if first is None or second is None:
            return None
        return self.read_rows(first, second, seed)

    def read_rows(self, first: Floats, second: Floats, seed: int) -> Reading | None:
        """From the values of both sides."""
        defined = ~(np.isnan(first) | np.isnan(second))
        if not defined.any():
            return None
        first, second = first[defined], second[defined]
        comparison = compare(Sample(first), Sample(second), seed=seed, resamples=RESAMPLES)
        before, change = float(first.mean()), comparison.difference
        p = one_sided(comparison.p_randomisation, change, self.wrong)
        return Reading(
            before, float(second.mean()), change, comparison.low, comparison.high, self.excess(before, change), p
        )


class SetSignal(Signal):
    """The share of different items among all that the completions hold together; it is tested by swapping the two
    sides of prompts. The interval is of the jackknife, since duplicates of a bootstrap would count as repetition.
    """

    def items(self, completions: HeldOutCompletions) -> list[list[Hashable]]:
        """What each completion holds."""
        raise NotImplementedError

    def read(self, pair: BeforeAndAfter, seed: int = 0) -> Reading | None:
        n = len(pair)
        counts = _count_items(self.items(pair.before) + self.items(pair.after))
        first, second = np.repeat([[1.0, 0.0]], n, axis=1), np.repeat([[0.0, 1.0]], n, axis=1)
        before, after = (float(_distinct_share(side, counts)[0]) for side in (first, second))
        change = after - before
        swaps = np.random.default_rng(seed).integers(0, 2, (RESAMPLES, n)).astype(float)
        swapped = [np.concatenate(sides, axis=1) for sides in ((1 - swaps, swaps), (swaps, 1 - swaps))]
        chance = _distinct_share(swapped[1], counts) - _distinct_share(swapped[0], counts)
        p = (int((np.abs(chance) >= abs(change) - 1e-12).sum()) + 1) / (RESAMPLES + 1)
        others = 1 - np.eye(n)
        nothing = np.zeros((n, n))
        without = _distinct_share(np.concatenate([nothing, others], axis=1), counts) - _distinct_share(
            np.concatenate([others, nothing], axis=1), counts
        )
        spread = 1.96 * float(np.std(without)) * np.sqrt(n - 1) if n > 1 else 0.0
        p = one_sided(p, change, self.wrong)
        return Reading(before, after, change, change - spread, change + spread, self.excess(before, change), p)


def one_sided(p: float, change: float, wrong: str) -> float:
    """The p of a change in the wrong direction alone, from the two-sided one."""
    if wrong == BOTH:
        return p
    right_side = change > 0 if wrong == UP else change < 0
    return p / 2 if right_side else 1 - p / 2


def _count_items(rows: list[list[Hashable]]) -> Floats:
    """(rows, different items) how often each row holds each item."""
    numbers: dict[Hashable, int] = {}
    coded = [[numbers.setdefault(item, len(numbers)) for item in row] for row in rows]
    return np.array(
        [np.bincount(codes, minlength=max(1, len(numbers))) for codes in map(_as_codes, coded)], dtype=float
    )


def _as_codes(codes: list[int]) -> Rows:
    return np.array(codes, dtype=np.int64)


def _distinct_share(chosen: Floats, counts: Floats) -> Floats:
    """(R,) the share of different items in the rows that each line of `chosen` (R, rows) marks; 1 for none."""
    sums = chosen @ counts
    totals = sums.sum(axis=1)
    return np.where(totals > 0, (sums > 0).sum(axis=1) / np.maximum(totals, 1), 1.0)
