"""Intervals and paired tests, seeded and vectorised.

Means of rows get the bootstrap-t interval (Efron and Tibshirani, 1993, chapter 12), which stays near 95 % for skewed
scores; proportions Wilson's (1927); figures of the whole set the percentile bootstrap of their sums.

Where almost all rows have one value, resampling says little and for equal rows nothing. The few others then count as
hits of Wilson's or the exact interval, weighted by how far away they are (as Fay and Feuer, 1997, weigh Poisson
counts). A side on which none was seen is allowed what Wilson's interval allows for no hit, near the rule of three
(Hanley and Lippman-Hand, 1983), each as far away as the metric's range lets a row be. So equal scores never give an
interval without width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.evaluation.sample import Array, Figure, Sample

Z = 1.959963984540054
Bounds = tuple[float | None, float | None]
FEW = 15
TINY = 8
ENUMERATED = 12


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval over n rows; None where no row defines it."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Comparison:
    """b less a on the same n rows. `rows_needed` is how many would tell a difference of this size with power 0.8."""

    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomisation: float
    effect: float
    n: int
    rows_needed: int | None


def interval(sample: Sample, *, bounds: Bounds = (None, None), seed: int = 0, resamples: int = 1000) -> Interval:
    """The figure and its 95 % interval. Time: 2,000 rows with 1,000 resamples take about 0.05 s."""
    parts = _defined(sample.parts)
    n = len(parts)
    if n == 0:
        return Interval(None, None, None, 0)
    if sample.combine is not None:
        return _corpus(sample, parts, bounds, seed, resamples)
    value = float(parts.mean())
    if sample.proportion:
        low, high = wilson(value, n)
        return Interval(value, low, high, n)
    low, high = _mean_ends(parts, bounds, seed, resamples)
    return Interval(value, *_within(low, high, bounds), n)


def wilson(share: float, n: float) -> tuple[float, float]:
    """The score interval of a proportion (Wilson, 1927)."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return float(min(share, max(0.0, middle - half))), float(max(share, min(1.0, middle + half)))


def compare(a: Sample, b: Sample, *, bounds: Bounds = (None, None), seed: int = 0, resamples: int = 1000) -> Comparison:
    """Paired over the same rows in the same order: bootstrap interval and p, approximate randomisation, effect size.

    Where at most ENUMERATED rows differ, the randomisation is exact: all ways of swapping them are counted. p values
    are two-sided and never 0 (Phipson and Smyth, 2010); the effect is the mean difference over its standard
    deviation (Cohen's d for pairs). Rows that are undefined on either side are left out.
    """
    defined = ~(_undefined(a.parts) | _undefined(b.parts))
    first, second = a.parts[defined], b.parts[defined]
    rng = np.random.default_rng(seed)
    if bounds[0] is not None and bounds[1] is not None:
        bounds = (bounds[0] - bounds[1], bounds[1] - bounds[0])
    else:
        bounds = (None, None)
    if a.combine is not None:
        return _compare_sums(a, first, second, bounds, rng, resamples)
    gains = second - first
    n = len(gains)
    if n == 0:
        return Comparison(0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0, None)
    mean, spread = float(gains.mean()), float(gains.std(ddof=1)) if n > 1 else 0.0
    low, high = _within(*_mean_ends(gains, bounds, seed, resamples), bounds)
    means = _resampled_means(gains, rng, resamples)
    return Comparison(
        difference=mean,
        low=low,
        high=high,
        p_bootstrap=_two_sided(means - mean, mean),
        p_randomisation=_sign_flips(gains, rng, resamples),
        effect=mean / spread if spread > 0 else 0.0,
        n=n,
        rows_needed=_rows_needed(mean, spread),
    )


def correct_p_values(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the chance of any false alarm stays below 5 %."""
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, ps[index] * (len(ps) - rank)))
        adjusted[index] = least
    return adjusted


def verdict(a: str, b: str, figure: Figure, comparison: Comparison, p: float | None = None) -> str:
    """The comparison in plain words; p is the corrected one where several systems are compared."""
    if comparison.n == 0:
        return f"{b} and {a} have no row in common."
    scale = 100 if (figure.low, figure.high) == (0.0, 1.0) else 1
    named = figure.title if scale == 1 or figure.title[0].isupper() else f"points of {figure.title}"
    gain, low, high = (scale * number for number in (comparison.difference, comparison.low, comparison.high))
    p = comparison.p_randomisation if p is None else p
    if p < 0.05 and (low > 0) == (high > 0):
        better = (comparison.difference > 0) == figure.higher_is_better
        low, high = sorted((abs(low), abs(high)))
        return (
            f"{b} is {'better' if better else 'worse'} than {a} by {abs(gain):.1f} {named}, "
            f"95 % interval {low:.1f} to {high:.1f}, n = {comparison.n:,}, p = {p:.2g}."
        )
    sentence = (
        f"No significant difference between {b} and {a}: {gain:+.1f} {named}, "
        f"95 % interval {low:.1f} to {high:.1f}, n = {comparison.n:,}, p = {p:.2g}"
    )
    if comparison.rows_needed is None:
        return f"{sentence}; on average they are equal."
    if comparison.rows_needed <= comparison.n:
        return f"{sentence}."
    rows = f"{_rounded(comparison.rows_needed):,} rows"
    return f"{sentence}; about {rows} would be needed to detect a difference of this size."


def _mean_ends(values: Array, bounds: Bounds, seed: int, resamples: int) -> tuple[float, float]:
    """Bootstrap-t ends of the mean; Student's t below TINY rows; `_mostly` where fewer than FEW rows are unlike it."""
    n, mean = len(values), float(values.mean())
    common, counts = np.unique(values, return_counts=True)
    unlike = n - int(counts.max())
    if unlike < min(FEW, n / 2):
        return _mostly(float(common[counts.argmax()]), values, bounds)
    error = float(values.std(ddof=1)) / np.sqrt(n)
    if n < TINY:
        from scipy.stats import t as student

        half = float(student.ppf(0.975, n - 1)) * error
        return mean - half, mean + half
    means, errors = _resampled(values, np.random.default_rng(seed), resamples)
    usable = errors > 1e-6 * error
    early, late = np.quantile((means[usable] - mean) / errors[usable], [0.025, 0.975])
    return float(mean - late * error), float(mean - early * error)


def _mostly(usual: float, values: Array, bounds: Bounds) -> tuple[float, float]:
    """Ends of the mean where almost all values are `usual`: what lies below it and above it, joined as MOVER does.

    Rows at distances x count as (sum x)^2 / sum x^2 hits of weight sum x^2 / sum x, so that their spread is in the
    interval; a side without any has no hit of the largest weight (Zou and Donner, 2008, for the difference of the two).
    """
    n = len(values)
    reach = float(np.abs(values - usual).max()) or abs(usual) or 1.0
    sides = []
    for sign, end in ((-1.0, bounds[0]), (1.0, bounds[1])):
        far = reach if end is None else abs(end - usual)
        x = sign * (values - usual)
        x = x[x > 0]
        total, squares = float(x.sum()), float((x * x).sum())
        if len(x) and float(x.min()) < float(x.max()):
            least, most = _exact(total * total / squares, n)
        else:
            least, most = wilson(len(x) / n, n)
        weight = squares / total if len(x) else far
        sides.append((total / n, weight * least, weight * most))
    (down, down_low, down_high), (up, up_low, up_high) = sides
    mean = usual + up - down
    return (
        float(mean - np.hypot(up - up_low, down_high - down)),
        float(mean + np.hypot(up_high - up, down - down_low)),
    )


def _exact(hits: float, n: int) -> tuple[float, float]:
    """Clopper and Pearson's interval (1934): wider than Wilson's, which weights that are estimated need."""
    from scipy.special import betaincinv

    return float(betaincinv(hits, n - hits + 1, 0.025)), float(betaincinv(hits + 1, n - hits, 0.975))


def _resampled(values: Array, rng: np.random.Generator, resamples: int) -> tuple[Array, Array]:
    """Means and standard errors (R,) of resamples with replacement."""
    n, mean = len(values), values.mean()
    centred = values - mean
    means, errors = np.empty(resamples), np.empty(resamples)
    step = max(1, 4_000_000 // n)
    for start in range(0, resamples, step):
        resample = centred[rng.integers(0, n, (min(step, resamples - start), n), dtype=np.int32)]
        middle = resample.mean(axis=1)
        squares = np.einsum("ij,ij->i", resample, resample) - n * middle**2
        means[start : start + step] = mean + middle
        errors[start : start + step] = np.sqrt(np.maximum(squares, 0.0) / (n - 1) / n)
    return means, errors


def _resampled_means(values: Array, rng: np.random.Generator, resamples: int) -> Array:
    n = len(values)
    step = max(1, 4_000_000 // n)
    parts = [
        values[rng.integers(0, n, (min(step, resamples - start), n), dtype=np.int32)].mean(axis=1)
        for start in range(0, resamples, step)
    ]
    return np.concatenate(parts)


def _counts(n: int, rng: np.random.Generator, resamples: int) -> Array:
    """How often each row is drawn, (R, n) float32."""
    indices = rng.integers(0, n, (resamples, n), dtype=np.int64) + np.arange(resamples)[:, None] * n
    return np.bincount(indices.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float32)


def _corpus(sample: Sample, parts: Array, bounds: Bounds, seed: int, resamples: int) -> Interval:
    """Percentile bootstrap of the sums; equal ends are moved apart as for a share."""
    assert sample.combine is not None
    n = len(parts)
    value = float(sample.combine(parts.sum(axis=0)[None])[0])
    if np.isnan(value):
        return Interval(None, None, None, n)
    resampled = sample.combine(_counts(n, np.random.default_rng(seed), resamples).astype(float) @ parts)
    low, high = (float(end) for end in np.nanquantile(resampled, [0.025, 0.975]))
    if high - low <= 1e-12:
        low, high = _mostly(value, np.full(n, value), bounds)
    return Interval(value, *_within(min(low, value), max(high, value), bounds), n)


def _compare_sums(
    a: Sample, first: Array, second: Array, bounds: Bounds, rng: np.random.Generator, resamples: int
) -> Comparison:
    assert a.combine is not None
    n = len(first)
    if n == 0:
        return Comparison(0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0, None)

    def figure(sums: Array) -> Array:
        assert a.combine is not None
        return a.combine(sums)

    real = float(figure(second.sum(axis=0)[None])[0] - figure(first.sum(axis=0)[None])[0])
    counts = _counts(n, rng, resamples).astype(float)
    resampled = figure(counts @ second) - figure(counts @ first)
    differ = (first != second).any(axis=1)
    swap, exact = _assignments(int(differ.sum()), rng, resamples)
    total = first.sum(axis=0) + second.sum(axis=0)
    mixed = first.sum(axis=0) + swap.astype(float) @ (second - first)[differ]
    flipped = figure(mixed) - figure(total - mixed)
    spread = float(np.nanstd(resampled)) * np.sqrt(n)
    low, high = (float(end) for end in np.nanquantile(resampled, [0.025, 0.975]))
    if high - low <= 1e-12:
        low, high = _within(*_mostly(real, np.full(n, real), bounds), bounds)
    return Comparison(
        difference=real,
        low=low,
        high=high,
        p_bootstrap=_two_sided(resampled - real, real),
        p_randomisation=_two_sided(flipped, real, exact=exact),
        effect=real / spread if spread > 0 else 0.0,
        n=n,
        rows_needed=_rows_needed(real, spread),
    )


def _sign_flips(gains: Array, rng: np.random.Generator, resamples: int) -> float:
    """p of the mean gain under flipped signs, in float64, so that ties are counted as ties."""
    changed = gains[gains != 0]
    step = max(1, 4_000_000 // max(1, len(changed)))
    swap, exact = _assignments(len(changed), rng, resamples)
    sums = np.concatenate([(2.0 * swap[start : start + step] - 1) @ changed for start in range(0, len(swap), step)])
    return _two_sided(sums, float(changed.sum()), size=float(np.abs(changed).sum()), exact=exact)


def _assignments(n: int, rng: np.random.Generator, resamples: int) -> tuple[NDArray[np.int8], bool]:
    """Which of n rows are swapped, (R, n) of 0 and 1, and whether these are all ways there are."""
    if n <= ENUMERATED:
        ways = np.arange(2**n)[:, None] >> np.arange(n)[None]
        return (ways & 1).astype(np.int8), True
    return rng.integers(0, 2, (resamples, n), dtype=np.int8), False


def _two_sided(resampled: Array, real: float, *, size: float | None = None, exact: bool = False) -> float:
    """How often chance alone reaches the real difference, itself counted; `exact` where `drawn` holds it already.

    What rounding alone makes different from it counts as reaching it; `size` is that of the numbers summed.
    """
    slack = 1e-9 * max(abs(real), 1e-3 if size is None else size)
    hits = int(np.sum(np.abs(resampled) >= abs(real) - slack))
    return hits / len(resampled) if exact else (hits + 1) / (len(resampled) + 1)


def _rows_needed(difference: float, spread: float) -> int | None:
    """Rows for a two-sided paired z test at 5 % with power 0.8 (Cohen, 1988)."""
    if spread <= 0 or difference == 0:
        return None
    return int(np.ceil(((Z + 0.8416212335729143) * spread / abs(difference)) ** 2))


def _rounded(count: int) -> int:
    """Two leading digits: more would promise what nobody knows."""
    step = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step


def _within(low: float, high: float, bounds: Bounds) -> tuple[float, float]:
    least, most = bounds
    return (low if least is None else max(low, least)), (high if most is None else min(high, most))


def _undefined(parts: Array) -> Any:
    """(n,) whether a row has no value."""
    return np.isnan(parts) if parts.ndim == 1 else np.isnan(parts).any(axis=1)


def _defined(parts: Array) -> Array:
    return parts[~_undefined(parts)]
