"""Agreement of annotators: percent agreement, kappas, Krippendorff's alpha, who stands apart, what is disputed.

Votes are an integer array (units, annotators) with values 0 to categories - 1 in their order and MISSING where somebody
did not vote. A unit is a pair of candidates of an item; `clusters` tells the item of each unit, and intervals (95 %,
percentile bootstrap) draw items, so that a ranking of six is not taken for fifteen independent votes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.evaluation import statistics

Votes = NDArray[np.int64]
Floats = NDArray[np.float64]
MISSING = -1
RESAMPLES = 1000
BLOCK = 100
MOST_PAIRED = 8


@dataclass(frozen=True)
class AgreementValue:
    """A value with its interval and the number of items it rests on; where it is None, `why` says why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""


@dataclass(frozen=True)
class Apart:
    """How often one annotator says what most of the others say on n units, with its 95 % interval over items.

    `differs` is set where that lies below what all the others reach among themselves; where all are alike, it is set
    for anybody in at most 5 % of campaigns.
    """

    annotator: int
    value: float
    low: float
    high: float
    n: int
    differs: bool


def agreement(
    votes: Votes, categories: int = 3, clusters: Sequence[int] | None = None, seed: int = 0
) -> dict[str, AgreementValue]:
    """All figures by name. Raises nothing: what is undefined says so.

    "percent agreement": pairs of annotators of a unit that say the same. "Cohen's kappa": the mean over pairs of
    annotators (Cohen, 1960). "Fleiss' kappa" (Fleiss, 1971) for a constant number of votes a unit. "Krippendorff's
    alpha, nominal" and ", ordinal" (Krippendorff, 2011, computing alpha-reliability), for any number.
    """
    counts = np.stack([(votes == value).sum(1) for value in range(categories)], 1)  # (units, categories)
    rated = counts.sum(1)
    several = rated >= 2
    cluster_ids = np.arange(len(votes)) if clusters is None else np.asarray(clusters)
    n = len(np.unique(cluster_ids[several]))
    why = _undefined(votes, counts, several, n)
    names = (
        "percent agreement",
        "Cohen's kappa",
        "Fleiss' kappa",
        *(f"Krippendorff's alpha, {form}" for form in _FORMS),
    )
    if why:
        return dict.fromkeys(names, AgreementValue(None, None, None, n, why))
    _, cluster_index = np.unique(cluster_ids[several], return_inverse=True)
    parts = _Parts(counts[several], cluster_index, n)
    tables, why_not = _tables(votes[several], cluster_index, n, categories)
    sums = np.column_stack([parts.sums, tables])
    width = parts.sums.shape[1]
    constant = len(np.unique(rated[several])) == 1
    statistics_by_name: dict[str, Callable[[Floats], Floats]] = {
        "percent agreement": lambda block: parts.split(block)[2]
    }
    if not why_not:
        statistics_by_name["Cohen's kappa"] = lambda block: _cohen(block[:, width:], categories)
    if constant:
        statistics_by_name["Fleiss' kappa"] = lambda block: _fleiss(*parts.split(block)[1:])
    for form, distance in _FORMS.items():
        statistics_by_name[f"Krippendorff's alpha, {form}"] = lambda block, d=distance: _alpha(parts.split(block)[0], d)  # type: ignore[misc]
    values = {name: float(statistic(sums.sum(0)[None])[0]) for name, statistic in statistics_by_name.items()}
    resampled: dict[str, list[Floats]] = {name: [] for name in statistics_by_name}
    for block in _resampled(sums, seed):
        for name, statistic in statistics_by_name.items():
            resampled[name].append(statistic(block))
    figures = {name: _made(values[name], np.concatenate(resampled[name]), n) for name in statistics_by_name}
    fleiss_reason = "Fleiss' kappa needs the same number of votes on every item; read Krippendorff's alpha instead."
    reasons = {"Cohen's kappa": why_not, "Fleiss' kappa": fleiss_reason}
    return {name: figures.get(name) or AgreementValue(None, None, None, n, reasons.get(name, "")) for name in NAMES}


def _undefined(votes: Votes, counts: NDArray[np.int64], several: NDArray[np.bool_], n: int) -> str:
    if votes.shape[1] < 2 or not (votes != MISSING).any(0).sum() > 1:
        return "Agreement needs at least two annotators."
    if n < 2:
        return "Agreement needs at least two items that two annotators have answered; raise the overlap."
    if (counts[several].sum(0) > 0).sum() < 2:
        return "All answers are the same, so that agreement by chance cannot be told from agreement."
    return ""


class _Parts:
    """What every figure is a function of, summed by item: coincidences (items, c, c), shares and counts."""

    def __init__(self, counts: NDArray[np.int64], cluster_index: NDArray[np.int64], items: int) -> None:
        n = counts.astype(float)
        rated = n.sum(1)
        c = n.shape[1]
        pairs = n[:, :, None] * n[:, None, :] - np.einsum("uc,cd->ucd", n, np.eye(c))
        coincidences = pairs / (rated - 1)[:, None, None]
        same = np.einsum("ucc->u", pairs) / (rated * (rated - 1))
        flat = np.column_stack([coincidences.reshape(len(n), -1), n, same, np.ones(len(n))])
        self.sums = np.zeros((items, flat.shape[1]))
        np.add.at(self.sums, cluster_index, flat)
        self.categories = c

    def split(self, sums: Floats) -> tuple[Floats, Floats, Floats]:
        """(coincidences (R, c, c), votes by category (R, c), mean agreement (R,))."""
        c = self.categories
        end = c * c + c
        return sums[:, : c * c].reshape(-1, c, c), sums[:, c * c : end], sums[:, end] / sums[:, end + 1]


def _made(value: float, resampled: Floats, n: int) -> AgreementValue:
    finite = resampled[np.isfinite(resampled)]
    if not np.isfinite(value) or not len(finite):
        return AgreementValue(None, None, None, n, "All answers are the same, so that this is undefined.")
    low, high = np.quantile(finite, (0.025, 0.975))
    return AgreementValue(value, float(low), float(high), n)


def _resampled(sums: Floats, seed: int) -> Iterator[Floats]:
    """Sums over items drawn with replacement, (BLOCK, columns) at a time."""
    draw = np.random.default_rng(seed)
    items = len(sums)
    for _ in range(RESAMPLES // BLOCK):
        indices = draw.integers(0, items, (BLOCK, items))
        times = np.stack([np.bincount(row, minlength=items) for row in indices])
        yield times.astype(np.float64) @ sums


def _fleiss(totals: Floats, observed: Floats) -> Floats:
    chance = ((totals / totals.sum(1, keepdims=True)) ** 2).sum(1)
    return _over(observed - chance, 1 - chance)


def _alpha(coincidences: Floats, distance: Callable[[Floats], Floats]) -> Floats:
    by = coincidences.sum(2)
    n = by.sum(1)
    distances = distance(by)
    observed = (coincidences * distances).sum((1, 2))
    expected = (by[:, :, None] * by[:, None, :] * distances).sum((1, 2)) / (n - 1)
    return 1 - _over(observed, expected)


def _over(top: Floats, bottom: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(bottom) > 1e-12, top / bottom, np.nan)


def _nominal(by: Floats) -> Floats:
    c = by.shape[1]
    return np.broadcast_to(1 - np.eye(c), (len(by), c, c))


def _ordinal(by: Floats) -> Floats:
    """Squared number of answers between two categories, half of their own counted."""
    c = by.shape[1]
    sums = np.concatenate([np.zeros((len(by), 1)), by.cumsum(1)], 1)
    distances = np.zeros((len(by), c, c))
    for a, b in combinations(range(c), 2):
        between = sums[:, b + 1] - sums[:, a] - (by[:, a] + by[:, b]) / 2
        distances[:, a, b] = distances[:, b, a] = between**2
    return distances


_FORMS = {"nominal": _nominal, "ordinal": _ordinal}
_ALPHAS = tuple(f"Krippendorff's alpha, {form}" for form in _FORMS)
NAMES = ("percent agreement", "Cohen's kappa", "Fleiss' kappa", *_ALPHAS)


def _tables(votes: Votes, cluster_index: NDArray[np.int64], n: int, categories: int) -> tuple[Floats, str]:
    """(items, pairs x c x c): who said what together with whom; and why there is none."""
    people = [annotator for annotator in range(votes.shape[1]) if (votes[:, annotator] != MISSING).any()]
    if len(people) > MOST_PAIRED:
        reason = f"Cohen's kappa is for few annotators, not {len(people)}; read Krippendorff's alpha instead."
        return np.zeros((n, 0)), reason
    tables = []
    for a, b in combinations(people, 2):
        both = np.flatnonzero((votes[:, a] != MISSING) & (votes[:, b] != MISSING))
        if len(both):
            size = categories * categories
            cell = cluster_index[both] * size + votes[both, a] * categories + votes[both, b]
            tables.append(np.bincount(cell, minlength=n * size).reshape(n, size).astype(np.float64))
    return np.concatenate(tables, 1), ""


def _cohen(sums: Floats, categories: int) -> Floats:
    """The mean over pairs of annotators whose kappa is defined."""
    table = sums.reshape(len(sums), -1, categories, categories)
    shares = _over(table, table.sum((2, 3), keepdims=True))
    chance = (shares.sum(3) * shares.sum(2)).sum(2)
    kappas = _over(np.einsum("rpcc->rp", shares) - chance, 1 - chance)
    defined = np.isfinite(kappas)
    return _over(np.where(defined, kappas, 0.0).sum(1), defined.sum(1).astype(np.float64))


def clustered_share(hits: Floats, sizes: Floats) -> tuple[float, float]:
    """95 % interval of a share whose `sizes` answers of each cluster go together; (0, 1) where there are none.

    Wilson's interval over as many answers as independent ones would be worth (Kish, 1965; Korn and Graubard, 1998).
    """
    from scipy.stats import t

    n, clusters = float(sizes.sum()), int((sizes > 0).sum())
    if not n:
        return 0.0, 1.0
    share = float(hits.sum()) / n
    if clusters == n:
        return statistics.wilson(share, n)
    if clusters < 2 or share in (0.0, 1.0):
        return statistics.wilson(share, clusters)
    spread = float(((hits - share * sizes) ** 2).sum()) * clusters / (clusters - 1)
    worth = n / max(1.0, spread / (n * share * (1 - share)))
    return statistics.wilson(share, worth * (statistics.Z / float(t.ppf(0.975, clusters - 1))) ** 2)


def against_the_rest(votes: Votes, categories: int = 3, clusters: Sequence[int] | None = None) -> list[Apart]:
    """Each annotator against the majority of the others, on units where the others have one; in column order."""
    counts = np.stack([(votes == value).sum(1) for value in range(categories)], 1)
    items, item_index = np.unique(np.arange(len(votes)) if clusters is None else clusters, return_inverse=True)
    counts_by_annotator: dict[int, tuple[Any, Any]] = {}  # hits and units by item
    for annotator in range(votes.shape[1]):
        mine = votes[:, annotator]
        others = counts.copy()
        there = np.flatnonzero(mine != MISSING)
        others[there, mine[there]] -= 1
        best = others.max(1)
        clear = (mine != MISSING) & (best > 0) & ((others == best[:, None]).sum(1) == 1)
        same = clear & (others.argmax(1) == mine)
        if clear.any():
            counts_by_annotator[annotator] = (
                np.bincount(item_index, same, len(items)),
                np.bincount(item_index, clear, len(items)),
            )
    every = (
        sum(hits for hits, _ in counts_by_annotator.values()),
        sum(sizes for _, sizes in counts_by_annotator.values()),
    )
    result = []
    for annotator, (hits, sizes) in counts_by_annotator.items():
        low, high = clustered_share(hits, sizes)
        differs = len(counts_by_annotator) > 2 and _below(hits, sizes, every[0] - hits, every[1] - sizes) < 0.05 / len(
            counts_by_annotator
        )
        result.append(Apart(annotator, float(hits.sum() / sizes.sum()), low, high, int(sizes.sum()), differs))
    return result


def _below(hits: Floats, sizes: Floats, other_hits: Floats, other_sizes: Floats) -> float:
    """One-sided p that a share is no smaller than that of the rest, from how both vary together between items."""
    from scipy.stats import t

    share, theirs = hits.sum() / sizes.sum(), other_hits.sum() / other_sizes.sum()
    items = int(((sizes > 0) | (other_sizes > 0)).sum())
    deviations = (hits - share * sizes) / sizes.sum() - (other_hits - theirs * other_sizes) / other_sizes.sum()
    spread = float(np.sqrt((deviations**2).sum()))
    if items < 2 or spread == 0:
        return float(share >= theirs)
    return float(t.cdf((share - theirs) / spread * np.sqrt((items - 1) / items), items - 1))


def disputes(votes: Votes, clusters: Sequence[int], categories: int = 3) -> dict[int, float]:
    """item -> share of pairs of annotators who disagree on it, the most disputed first; items with two votes alone."""
    counts = np.stack([(votes == value).sum(1) for value in range(categories)], 1).astype(float)
    rated = counts.sum(1)
    several = rated >= 2
    same = (counts * (counts - 1)).sum(1)[several] / (rated * (rated - 1))[several]
    items, item_index = np.unique(np.asarray(clusters)[several], return_inverse=True)
    share = np.bincount(item_index, 1 - same) / np.bincount(item_index)
    order = np.argsort(-share, kind="stable")
    return {int(items[index]): float(share[index]) for index in order}
