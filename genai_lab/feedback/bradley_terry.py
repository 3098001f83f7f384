"""Bradley-Terry scores with ties (Davidson, 1970), their intervals, and how many votes would tell two systems apart.

For systems i and j with log-strengths b and a tie parameter t, the probabilities of i, j and a tie are proportional to
exp(b_i), exp(b_j) and exp(t + (b_i + b_j) / 2) (Davidson, 1970). The likelihood is concave and is
maximised by Newton's method, for all resamples at once. A normal prior with standard deviation PRIOR on every
log-strength and on t keeps a system finite that has won, or lost, all its comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import LabError

Floats = NDArray[np.float64]
SCALE = 400 / log(10)
MEAN = 1000.0
PRIOR = 4.0
RESAMPLES = 1000
STEPS = 40
BINS = 15
Z, POWER = 1.959964, 0.841621  # 95 % confidence, 80 % power


@dataclass(frozen=True)
class Ballot:
    """Votes: `first` and `second` are systems by number, `outcome` is 1 (first better), 0 (tie), -1; `weight` counts.

    `cluster` names what votes belong together (an item): intervals draw clusters. `length` is the difference of the
    two completions' lengths, first less second.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    outcome: NDArray[np.int64]
    weight: Floats
    cluster: NDArray[np.int64] | None = None
    length: Floats | None = None


@dataclass(frozen=True)
class LeaderboardRow:
    """One system: `score` on Elo's scale around 1000, `low` to `high` its 95 % interval, `rank` with its own."""

    system: str
    score: float
    low: float
    high: float
    rank: int
    rank_low: int
    rank_high: int
    votes: int
    wins: float
    against_average: float


@dataclass(frozen=True)
class Fit:
    """`strengths` (S,) sum to 0; `covariance` (S, S) is theirs over the resamples; `tie` is None without ties.

    `design_effect` says how many votes count as one independent vote, since votes on one item tend to agree.
    """

    systems: tuple[str, ...]
    strengths: Floats
    covariance: Floats
    tie: float | None
    lines: tuple[LeaderboardRow, ...]
    notes: tuple[str, ...] = ()
    length: tuple[float, float, float] | None = None
    resampled: Floats = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    design_effect: float = 1.0


def fit(
    systems: Sequence[str], ballot: Ballot, *, length_control: bool = False, resamples: int = RESAMPLES, seed: int = 0
) -> Fit:
    """Scores with intervals; raises LabError where there are fewer than two systems or no votes."""
    size = len(systems)
    if size < 2 or not len(ballot.first):
        raise LabError("A leaderboard needs votes between at least two systems.")
    rows, counts = _rows(ballot, size, length_control)
    design = _design(rows, size, length_control)
    ties = bool(counts[:, 2].sum())
    parameters = _newton(design, counts[None], ties)[0]
    draws = _newton(design, _resampled(ballot, rows, counts, resamples, seed, length_control), ties, parameters)
    strengths = parameters[:size] - parameters[:size].mean()
    resampled = draws[:, :size] - draws[:, :size].mean(1, keepdims=True)
    length = None
    if length_control:
        low, high = np.quantile(draws[:, size], (0.025, 0.975))
        length = (float(parameters[size]), float(low), float(high))
    return Fit(
        tuple(systems),
        strengths,
        np.cov(resampled.T),
        float(parameters[-1]) if ties else None,
        _lines(systems, strengths, resampled, ballot),
        tuple(_notes(systems, ballot)),
        length,
        resampled,
        design_effect(ballot, parameters, size, length_control),
    )


def design_effect(ballot: Ballot, parameters: Floats, size: int, length_control: bool = False) -> float:
    """The variance of what votes say, summed by cluster and pair, over that of independent votes (Kish, 1965).

    1 where each cluster has one vote, m where m votes on an item always agree; never below 1.
    """
    if ballot.cluster is None:
        return 1.0
    swapped = ballot.first > ballot.second
    low, high = np.minimum(ballot.first, ballot.second), np.maximum(ballot.first, ballot.second)
    gap = parameters[low] - parameters[high]
    if length_control:
        gap = gap + parameters[size] * _places(ballot, swapped)[1]
    tied = bool((ballot.outcome[ballot.weight > 0] == 0).any())
    even = np.exp(parameters[-1]) if tied else 0.0
    up, down = np.exp(gap / 2), np.exp(-gap / 2)
    outcome = np.where(swapped, -ballot.outcome, ballot.outcome)
    residual = (outcome - (up - down) / (up + down + even)) / 2
    _, group = np.unique(np.column_stack([ballot.cluster, low, high]), axis=0, return_inverse=True)
    together = float((np.bincount(group.ravel(), ballot.weight * residual) ** 2).sum())
    alone = float((ballot.weight * residual**2).sum())
    return max(1.0, together / alone) if alone > 0 else 1.0


def _rows(ballot: Ballot, size: int, length_control: bool) -> tuple[Floats, Floats]:
    """Votes that are alike in one row: (i, j, length) and weights of (i better, j better, tie), i < j."""
    swapped = ballot.first > ballot.second
    low, high = np.minimum(ballot.first, ballot.second), np.maximum(ballot.first, ballot.second)
    length_bins = _places(ballot, swapped)
    length = length_bins[1] if length_control else np.zeros(len(low))
    keys = np.column_stack([low, high, length])
    rows, row_index = np.unique(keys, axis=0, return_inverse=True)
    outcome = np.where(swapped, -ballot.outcome, ballot.outcome)
    column = np.where(outcome > 0, 0, np.where(outcome < 0, 1, 2))
    counts = np.zeros((len(rows), 3))
    np.add.at(counts, (row_index.ravel(), column), ballot.weight)
    return rows, counts


def _places(ballot: Ballot, swapped: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Floats]:
    """The bin of each vote's length difference, and its value: tanh of the standardised difference, as AlpacaEval's
    length-controlled win rate has it (Dubois et al., 2024), averaged in at most BINS bins."""
    if ballot.length is None:
        return np.zeros(len(swapped), dtype=np.int64), np.zeros(len(swapped))
    length_gap = np.where(swapped, -ballot.length, ballot.length)
    spread = float(np.std(length_gap)) or 1.0
    value = np.tanh(length_gap / spread)
    edges = np.unique(np.quantile(value, np.linspace(0, 1, BINS + 1)[1:-1]))
    bin_index = np.digitize(value, edges)
    means = np.bincount(bin_index, value, minlength=bin_index.max() + 1) / np.maximum(np.bincount(bin_index), 1)
    return bin_index, np.round(means[bin_index], 9)


def _design(rows: Floats, size: int, length_control: bool) -> Floats:
    """(rows, parameters): what the difference of the two log-strengths is made of."""
    matrix = np.zeros((len(rows), size + length_control))
    row_index = np.arange(len(rows))
    matrix[row_index, rows[:, 0].astype(int)] = 1.0
    matrix[row_index, rows[:, 1].astype(int)] = -1.0
    if length_control:
        matrix[:, size] = rows[:, 2]
    return matrix


def _newton(design: Floats, counts: Floats, ties: bool, start: Floats | None = None) -> Any:
    """Parameters (R, K + 1) that maximise the likelihood of counts (R, rows, 3); the last one is the tie parameter."""
    many, k = len(counts), design.shape[1]
    parameters: Floats = np.zeros((many, k + 1)) if start is None else np.repeat(start[None], many, 0)
    total = counts.sum(2)
    outer = (design[:, :, None] * design[:, None, :]).reshape(len(design), k * k)
    prior = np.eye(k + 1) / PRIOR**2
    for _ in range(STEPS):
        gap = parameters[:, :k] @ design.T
        tie = np.exp(parameters[:, -1:]) if ties else np.zeros((many, 1))
        up, down = np.exp(gap / 2), np.exp(-gap / 2)
        total_odds = up + down + tie
        win, loss, even = up / total_odds, down / total_odds, tie / total_odds
        lean = (win - loss) / 2
        by_gap = (counts[:, :, 0] - counts[:, :, 1]) / 2 - total * lean
        slope = np.concatenate([by_gap @ design, (counts[:, :, 2] - total * even).sum(1)[:, None]], 1)
        slope -= parameters / PRIOR**2
        bend = np.zeros((many, k + 1, k + 1))
        bend[:, :k, :k] = ((total * ((win + loss) / 4 - lean**2)) @ outer).reshape(many, k, k)
        cross = -(total * lean * even) @ design
        bend[:, :k, k] = bend[:, k, :k] = cross
        bend[:, k, k] = (total * even * (1 - even)).sum(1)
        step = np.linalg.solve(bend + prior, slope[:, :, None])[:, :, 0]
        parameters += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return parameters


def _resampled(ballot: Ballot, rows: Floats, counts: Floats, resamples: int, seed: int, length_control: bool) -> Any:
    """Counts (R, rows, 3) of resampled votes, or of resampled clusters."""
    draw = np.random.default_rng(seed)
    resampled: Floats
    if ballot.cluster is None and np.allclose(ballot.weight, ballot.weight[0]):
        each = float(ballot.weight[0])
        flat = counts.ravel() / counts.sum()
        votes = draw.multinomial(len(ballot.first), flat / flat.sum(), size=resamples)
        return (votes * each).reshape(-1, *counts.shape)
    from scipy.sparse import csr_matrix

    cluster_ids = ballot.cluster if ballot.cluster is not None else np.arange(len(ballot.first))
    _, cluster = np.unique(cluster_ids, return_inverse=True)
    swapped = ballot.first > ballot.second
    low, high = np.minimum(ballot.first, ballot.second), np.maximum(ballot.first, ballot.second)
    length = _places(ballot, swapped)[1] if length_control else np.zeros(len(low))
    _, row = np.unique(np.column_stack([low, high, length]), axis=0, return_inverse=True)
    outcome = np.where(swapped, -ballot.outcome, ballot.outcome)
    column = row.ravel() * 3 + np.where(outcome > 0, 0, np.where(outcome < 0, 1, 2))
    n = int(cluster.max()) + 1
    table = csr_matrix((ballot.weight, (cluster, column)), shape=(n, counts.size))
    resampled = np.empty((resamples, counts.size))
    for start in range(0, resamples, 100):
        block = draw.multinomial(n, np.full(n, 1 / n), size=min(100, resamples - start))
        resampled[start : start + len(block)] = (table.T @ block.T.astype(float)).T
    return resampled.reshape(resamples, *counts.shape)


def _lines(systems: Sequence[str], strengths: Floats, resampled: Floats, ballot: Ballot) -> tuple[LeaderboardRow, ...]:
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    ranks = (-resampled).argsort(1).argsort(1) + 1
    best, worst = np.quantile(ranks, (0.025, 0.975), axis=0)
    order = np.argsort(-strengths, kind="stable")
    lines = []
    for rank, index in enumerate(map(int, order), 1):
        here = (ballot.first == index) | (ballot.second == index)
        outcomes = np.where(ballot.first == index, ballot.outcome, -ballot.outcome)[here]
        lines.append(
            LeaderboardRow(
                systems[index],
                MEAN + SCALE * float(strengths[index]),
                MEAN + SCALE * float(low[index]),
                MEAN + SCALE * float(high[index]),
                rank,
                int(np.floor(best[index])),
                int(np.ceil(worst[index])),
                int(here.sum()),
                float((outcomes > 0).sum()),
                float(1 / (1 + np.exp(-strengths[index]))),
            )
        )
    return tuple(lines)


def _notes(systems: Sequence[str], ballot: Ballot) -> list[str]:
    """Where comparisons do not bind the systems together."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(systems)
    wins = np.zeros((size, size))
    np.add.at(wins, (ballot.first, ballot.second), (ballot.outcome >= 0) * 1.0)
    np.add.at(wins, (ballot.second, ballot.first), (ballot.outcome <= 0) * 1.0)
    loose, group = connected_components(csr_matrix(wins), directed=False)
    if loose > 1:
        groups = "; ".join(
            ", ".join(systems[int(index)] for index in np.flatnonzero(group == part)) for part in range(loose)
        )
        return [f"These groups were never compared with each other, so their order rests on nothing: {groups}."]
    strong, _ = connected_components(csr_matrix(wins), directed=True, connection="strong")
    if strong > 1:
        return ["Some systems have won or lost every comparison, so that their distance from the rest is a guess."]
    return []


@dataclass(frozen=True)
class WinShare:
    """How one system fares against another: share of decided votes with Wilson's interval."""

    wins: float
    ties: float
    losses: float
    value: float | None
    low: float
    high: float


def win_matrix(size: int, ballot: Ballot) -> list[list[WinShare | None]]:
    """[i][j]: i against j, None on the diagonal; a tie counts half a win."""
    from genai_lab.evaluation.statistics import wilson

    matrix: list[list[WinShare | None]] = [[None] * size for _ in range(size)]
    wins = np.zeros((size, size))
    ties = np.zeros((size, size))
    for a, b, sign in ((ballot.first, ballot.second, 1), (ballot.second, ballot.first, -1)):
        np.add.at(wins, (a, b), (ballot.outcome * sign > 0) * 1.0)
        np.add.at(ties, (a, b), (ballot.outcome == 0) * 1.0)
    for i in range(size):
        for j in range(size):
            if i != j:
                n = wins[i, j] + wins[j, i] + ties[i, j]
                half = wins[i, j] + ties[i, j] / 2
                low, high = wilson(half / n, n) if n else (0.0, 1.0)
                matrix[i][j] = WinShare(wins[i, j], ties[i, j], wins[j, i], half / n if n else None, low, high)
    return matrix


def votes_needed(
    gap: float, tie: float | None, variance: float | None = None, design_effect: float = 1.0
) -> int | None:
    """How many more votes between two systems tell them apart, 95 % sure in 80 % of all cases.

    `gap` is the difference of their log-strengths, `variance` that of its estimate so far (None: no votes yet). By the
    normal approximation with the Fisher information of one vote, which asks for a few too many below some 50; votes to
    come are taken to agree within an item as those so far do (`design_effect`). None where the gap is 0.
    """
    if gap == 0:
        return None
    even = np.exp(tie) if tie is not None else 0.0
    up, down = np.exp(gap / 2), np.exp(-gap / 2)
    total_odds = up + down + even
    information = ((up + down) / total_odds / 4 - ((up - down) / total_odds / 2) ** 2) / design_effect
    needed_information = ((Z + POWER) / abs(gap)) ** 2
    collected_information = 1 / variance if variance else 0.0
    return max(0, int(np.ceil((needed_information - collected_information) / information)))


def compare_systems(fitted: Fit, a: int, b: int) -> tuple[float, float, float, int | None]:
    """(gap a - b in points, its interval, how many more votes tell them apart)."""
    gap = fitted.strengths[a] - fitted.strengths[b]
    low, high = np.quantile(fitted.resampled[:, a] - fitted.resampled[:, b], (0.025, 0.975))
    variance = float(fitted.covariance[a, a] + fitted.covariance[b, b] - 2 * fitted.covariance[a, b])
    distinct = low > 0 or high < 0
    needed = 0 if distinct else votes_needed(float(gap), fitted.tie, variance, fitted.design_effect)
    return SCALE * float(gap), SCALE * float(low), SCALE * float(high), needed
