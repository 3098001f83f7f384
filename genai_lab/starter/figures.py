"""Figures with their 95 % intervals, and the table that shows them."""

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

Z = 1.959964
RESAMPLES = 1000


@dataclass(frozen=True)
class MeasuredFigure:
    """`low` to `high` is the 95 % interval over `n` cases; both are None where the value is a plain count."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int
    note: str = ""

    def apart_from(self, other: "MeasuredFigure") -> bool:
        """Whether the two intervals do not touch."""
        if None in (self.low, self.high, other.low, other.high):
            return False
        return bool(self.low > other.high or other.low > self.high)  # type: ignore[operator]


def proportion(name: str, hits: Sequence[bool], note: str = "") -> MeasuredFigure:
    """Share of hits with the score interval (Wilson, 1927)."""
    n, share = len(hits), sum(hits) / len(hits)
    scale = 1 + Z**2 / n
    middle = (share + Z**2 / (2 * n)) / scale
    half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / scale
    return MeasuredFigure(name, share, max(0.0, middle - half), min(1.0, middle + half), n, note)


def mean(name: str, values: Sequence[float], note: str = "", seed: int = 0) -> MeasuredFigure:
    """Mean with the percentile interval of 1,000 resamples (Efron, 1979)."""
    rng = random.Random(seed)
    n = len(values)
    resampled = sorted(sum(rng.choices(values, k=n)) / n for _ in range(RESAMPLES))
    return MeasuredFigure(name, sum(values) / n, *_middle(resampled), n, note)


def area(name: str, truth: Sequence[bool], scores: Sequence[float], note: str = "", seed: int = 0) -> MeasuredFigure:
    """Area under the ROC curve with the percentile interval of 200 resamples."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    truth_array, score_array = np.asarray(truth), np.asarray(scores)
    rng = np.random.default_rng(seed)
    resampled: list[float] = []
    while len(resampled) < 200:
        indices = rng.integers(0, len(truth_array), len(truth_array))
        if 0 < truth_array[indices].sum() < len(truth_array):
            resampled.append(float(roc_auc_score(truth_array[indices], score_array[indices])))
    return MeasuredFigure(
        name, float(roc_auc_score(truth_array, score_array)), *_middle(sorted(resampled)), len(truth_array), note
    )


def _middle(ordered: Sequence[float]) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of ordered values."""
    last = len(ordered) - 1
    return ordered[round(0.025 * last)], ordered[round(0.975 * last)]


def table(figures: Sequence[MeasuredFigure]) -> str:
    """A Markdown table; small numbers with three decimals."""
    lines = ["| measured | value | 95 % interval | n | |", "|---|---:|---:|---:|---|"]
    for figure in figures:
        span = "" if figure.low is None else f"{_shown(figure.low)} to {_shown(figure.high or 0.0)}"
        lines.append(f"| {figure.name} | {_shown(figure.value)} | {span} | {figure.n:,} | {figure.note} |")
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:.1f}" if abs(value) > 2 else f"{value:.3f}"


def rows(figures: Sequence[MeasuredFigure]) -> list[dict[str, Any]]:
    return [asdict(figure) for figure in figures]
