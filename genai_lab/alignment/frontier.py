"""What any policy could reach, told from samples of the base alone; and which checkpoint a KL weight would choose.

The policy that maximises E[score] - beta KL to the base p weighs each completion by exp(score / beta), so that (of one
prompt, over samples from p, with weights w that sum to 1)

    score = sum w score          KL = score / beta - log mean exp(score / beta)

and no policy has a higher score at the same KL (Korbak et al., 2022; Rafailov et al., 2023, section 4). Best of n
stands beside it, with KL <= log n - (n - 1) / n (Beirami et al., 2024: a bound, not the KL itself).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genai_lab.evaluation.sample import Sample
from genai_lab.evaluation.statistics import Interval, interval
from genai_lab.metrics.grouping import expected_value_of_best

Floats = NDArray[np.float64]
LEAST_SHARE = 1 / 3  # of the samples, that must still count at a point of the frontier
BETAS = 24


@dataclass(frozen=True)
class FrontierPoint:
    """The ideal policy at a KL weight. `effective` is how many of a prompt's samples it still rests on, on average."""

    beta: float
    score: Interval
    kl: Interval
    effective: float


@dataclass(frozen=True)
class BestOfPoint:
    """The best of n samples by score; `kl_bound` in nats, `gold` what these earn in truth where that is known."""

    n: int
    score: Interval
    kl_bound: float
    gold: Interval | None = None


@dataclass(frozen=True)
class PolicyPoint:
    """A recorded checkpoint on held-out prompts; figures are means over them, KL in nats per completion."""

    step: int
    score: Interval
    kl: Interval
    parts: dict[str, Interval]


@dataclass(frozen=True)
class Flag:
    """A policy above the ideal frontier: the KL or the score is wrong, or the base samples are too few."""

    step: int
    excess: float
    low: float


def ideal_policy(scores: Floats, beta: float) -> tuple[Floats, Floats, Floats]:
    """(score, KL in nats, effective sample size) of each prompt (n,), from scores (n, k) of k base samples each."""
    if beta <= 0:
        raise ValueError("beta must be above 0")
    scaled = scores / beta
    top = scaled.max(axis=1, keepdims=True)
    weights = np.exp(scaled - top)
    log_mean = np.log(weights.mean(axis=1)) + top[:, 0]
    weights /= weights.sum(axis=1, keepdims=True)
    reached = (weights * scores).sum(axis=1)
    kl = np.maximum(reached / beta - log_mean, 0.0)
    return reached, kl, 1 / (weights**2).sum(axis=1)


def ideal_frontier(scores: Floats, betas: Sequence[float] = ()) -> list[FrontierPoint]:
    """The frontier from the base on, up to where less than a third of the samples counts; scores are (n, k).

    Without `betas` they go down from ten times the spread of the scores in even ratios. Empty where all scores of a
    prompt are equal everywhere, since then nothing can be reached.
    """
    spread = float(scores.std(axis=1).mean())
    if spread == 0:
        return []
    points = []
    for beta in betas or np.geomspace(10 * spread, spread / 20, BETAS):
        reached, kl, effective = ideal_policy(scores, float(beta))
        if effective.mean() < LEAST_SHARE * scores.shape[1]:
            break
        points.append(FrontierPoint(float(beta), _mean(reached), _mean(kl), float(effective.mean())))
    return points


def best_of_n(scores: Floats, counts: Sequence[int] = (), gold: Floats | None = None) -> list[BestOfPoint]:
    """The score of the best of n out of k samples (n, k), without bias; `gold` (n, k) is the truth of the same ones.

    Without `counts` the powers of 2 up to half of the samples, since near k the estimate rests on the best one alone.
    """
    k = scores.shape[1]
    chosen = list(counts) or [2**power for power in range(1, 12) if 2**power <= k // 2]
    points = []
    for n in chosen:
        if n > k:
            raise ValueError(f"{n} completions are more than the {k} samples of a prompt")
        reached = np.array([expected_value_of_best(row, row, n) for row in scores])
        truth = None
        if gold is not None:
            pairs = zip(gold, scores, strict=True)
            truth = _mean(np.array([expected_value_of_best(row, own, n) for row, own in pairs]))
        points.append(BestOfPoint(n, _mean(reached), kl_of_best(n), truth))
    return points


def kl_of_best(n: int) -> float:
    """The most that the KL of best of n to its base can be, in nats."""
    return float(np.log(n) - (n - 1) / n)


def choose_checkpoint(scores: Sequence[float], kls: Sequence[float], beta: float) -> int:
    """The number of the checkpoint with the highest score - beta KL; of equals the one nearer to the base."""
    objectives = np.array(scores) - beta * np.array(kls)
    best = [int(index) for index in np.flatnonzero(objectives >= objectives.max() - 1e-12)]
    return min(best, key=lambda index: (kls[index], index))


def switching_betas(scores: Sequence[float], kls: Sequence[float]) -> list[float]:
    """The weights above 0 at which the choice changes, in order: the slopes of the upper hull of (KL, score)."""
    beta = 0.0
    changes: list[float] = []
    current = choose_checkpoint(scores, kls, 0.0)
    while True:
        slopes = [
            (scores[current] - scores[other]) / (kls[current] - kls[other])
            for other in range(len(scores))
            if kls[other] < kls[current]
        ]
        if not slopes:
            return changes
        beta = max(beta, min(slopes))
        changes.append(beta)
        current = choose_checkpoint(scores, kls, beta * (1 + 1e-9) + 1e-12)


def score_at(points: Sequence[FrontierPoint], base: float, kl: float) -> float | None:
    """The ideal score at a KL, between points; None beyond the last one, where the samples say nothing."""
    kls, scores = [0.0, *(p.kl.value or 0.0 for p in points)], [base, *(p.score.value or 0.0 for p in points)]
    return float(np.interp(kl, kls, scores)) if kl <= kls[-1] else None


def find_flags(
    base_scores: Floats, policies: Sequence[tuple[int, Floats, Floats]], seed: int = 0, resamples: int = 1000
) -> list[Flag]:
    """Checkpoints whose score lies above the ideal one at their own KL beyond the interval.

    `base_scores` are (n, k); a policy is (step, scores (n,), KL (n,)) on the same prompts in the same order. Both are
    resampled over prompts together, since a prompt that is easy for one is easy for the other.
    """
    points = ideal_frontier(base_scores)
    betas = [point.beta for point in points]
    if not betas:
        return []
    base = base_scores.mean(axis=1)
    curves = np.array([ideal_policy(base_scores, beta)[:2] for beta in betas])  # (betas, 2, n)
    rng = np.random.default_rng(seed)
    n = len(base_scores)
    drawn = [np.arange(n), *rng.integers(0, n, (resamples, n))]
    flags = []
    for step, scores, kl in policies:
        excess = [_excess(curves[:, :, rows], base[rows], scores[rows], kl[rows]) for rows in drawn]
        known = np.array([value for value in excess[1:] if value is not None])
        if excess[0] is None or len(known) < resamples / 2:
            continue
        low = float(np.quantile(known, 0.025))
        if low > 1e-9:
            flags.append(Flag(step, excess[0], low))
    return flags


def _excess(curves: Floats, base: Floats, scores: Floats, kl: Floats) -> float | None:
    """How far the mean score lies above the ideal curve at the mean KL; None beyond the curve's end."""
    means = curves.mean(axis=2)
    reach, where = np.append(base.mean(), means[:, 0]), np.append(0.0, means[:, 1])
    x = float(kl.mean())
    return float(scores.mean() - np.interp(x, where, reach)) if x <= where[-1] else None


def _mean(values: Floats) -> Interval:
    return interval(Sample(values))
