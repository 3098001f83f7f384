"""What every signal is: a figure of the policy's completions beside the base's, with a threshold fixed beforehand.

A signal is raised where its figure has moved past the threshold in the wrong direction and the move is no chance
(Holm's correction over all signals, 0.05). None decides alone: see `verdict`.
"""

from collections.abc import Callable
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
    """A figure of all completions together; it is tested by swapping the two sides of prompts."""

    def measure(self, completions: HeldOutCompletions) -> Callable[[Rows], float]:
        """What gives the figure of the rows whose numbers are given."""
        raise NotImplementedError

    def read(self, pair: BeforeAndAfter, seed: int = 0) -> Reading | None:
        both = _joined(pair)
        figure = self.measure(both)
        n = len(pair)
        rows = np.arange(n)
        before, after = figure(rows), figure(rows + n)
        change = after - before
        rng = np.random.default_rng(seed)
        swaps = rng.integers(0, 2, (RESAMPLES, n)) * n
        chance = np.array([figure(rows + n - swap) - figure(rows + swap) for swap in swaps])
        reached = np.abs(chance) >= abs(change) - 1e-12
        p = (int(reached.sum()) + 1) / (len(swaps) + 1)
        spread = 1.96 * float(np.std(_jackknife(figure, rows, n))) * np.sqrt(n - 1) if n > 1 else 0.0
        p = one_sided(p, change, self.wrong)
        return Reading(before, after, change, change - spread, change + spread, self.excess(before, change), p)


def one_sided(p: float, change: float, wrong: str) -> float:
    """The p of a change in the wrong direction alone, from the two-sided one."""
    if wrong == BOTH:
        return p
    right_side = change > 0 if wrong == UP else change < 0
    return p / 2 if right_side else 1 - p / 2


def _jackknife(figure: Callable[[Rows], float], rows: Rows, n: int) -> Floats:
    """The change without each prompt in turn: duplicates of a bootstrap would count as repetition."""
    return np.array([figure(np.delete(rows, row) + n) - figure(np.delete(rows, row)) for row in rows])


def _joined(pair: BeforeAndAfter) -> HeldOutCompletions:
    before, after = pair.before, pair.after
    return HeldOutCompletions(
        before.prompts + after.prompts, before.texts + after.texts, np.concatenate([before.scores, after.scores]),
        np.concatenate([before.lengths, after.lengths]), np.concatenate([before.ended, after.ended]),
    )  # fmt: skip
