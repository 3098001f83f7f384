"""The ideal frontier and best of n from base samples, the KL slider, and the flag above the frontier."""

import itertools

import numpy as np
import pytest

from genai_lab.alignment.frontier import (
    best_of_n,
    choose_checkpoint,
    find_flags,
    ideal_frontier,
    ideal_policy,
    kl_of_best,
    score_at,
    switching_betas,
)


@pytest.fixture
def scores() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (40, 24))


def test_the_ideal_policy_of_two_equally_likely_completions() -> None:
    """By hand: weights exp(1) and 1, so the score is e / (e + 1) and the KL that of a coin against a fair one."""
    reached, kl, effective = ideal_policy(np.array([[1.0, 0.0]]), 1.0)
    p = np.e / (np.e + 1)
    assert reached[0] == pytest.approx(p)
    assert kl[0] == pytest.approx(p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p)))
    assert effective[0] == pytest.approx(1 / (p**2 + (1 - p) ** 2))


def test_nearly_deterministic_completions_cost_what_their_rarity_says() -> None:
    """The one good completion of 10 costs log 10 nats where it is all that is written."""
    row = np.array([[10.0] + [0.0] * 9])
    _, kl, _ = ideal_policy(row, 0.1)
    assert kl[0] == pytest.approx(np.log(10))


def test_huge_scores_do_not_overflow() -> None:
    reached, kl, _ = ideal_policy(np.array([[1e6, 0.0]]), 1e-3)
    assert reached[0] == pytest.approx(1e6)
    assert kl[0] == pytest.approx(np.log(2))


def test_no_reweighting_of_the_samples_beats_the_frontier(scores: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    points = ideal_frontier(scores)
    base = float(scores.mean())
    for _ in range(50):
        weights = rng.dirichlet(np.full(24, 3.0), 40) * np.exp(scores * rng.uniform(0, 0.3))
        weights /= weights.sum(axis=1, keepdims=True)
        reached, kl = (weights * scores).sum(1).mean(), (weights * np.log(24 * weights)).sum(1).mean()
        ideal = score_at(points, base, float(kl))
        assert ideal is None or reached <= ideal + 0.01


def test_the_frontier_rises_and_stops_at_a_third_of_the_samples(scores: np.ndarray) -> None:
    points = ideal_frontier(scores)
    values = [(point.kl.value or 0.0, point.score.value or 0.0) for point in points]
    assert values == sorted(values)
    assert all(point.effective >= 8 for point in points)
    assert ideal_policy(scores, points[-1].beta * 0.8)[2].mean() < 8.5
    assert all(point.score.low < point.score.value < point.score.high for point in points)  # type: ignore[operator]


def test_equal_scores_have_no_frontier() -> None:
    assert ideal_frontier(np.ones((5, 8))) == []
    assert find_flags(np.ones((5, 8)), [(1, np.ones(5), np.zeros(5))]) == []


def test_best_of_n_is_the_mean_over_all_choices(scores: np.ndarray) -> None:
    few = scores[:, :6]
    expected = np.mean([few[:, list(chosen)].max(1).mean() for chosen in itertools.combinations(range(6), 3)])
    (point,) = best_of_n(few, (3,))
    assert point.score.value == pytest.approx(expected)
    assert point.kl_bound == pytest.approx(np.log(3) - 2 / 3)


def test_the_gold_of_the_best_is_that_of_the_chosen_ones() -> None:
    score, gold = np.array([[1.0, 2.0, 3.0]]), np.array([[5.0, 6.0, 1.0]])
    (point,) = best_of_n(score, (3,), gold)
    assert point.gold is not None
    assert point.gold.value == 1.0


def test_the_bounds_of_best_of_4_8_and_16() -> None:
    assert [round(kl_of_best(n), 2) for n in (1, 4, 8, 16)] == [0.0, 0.64, 1.2, 1.84]
    with pytest.raises(ValueError, match="more than the 4 samples"):
        best_of_n(np.zeros((2, 4)), (8,))


def test_the_slider_picks_by_score_less_beta_times_kl() -> None:
    scores, kls = [0.0, 4.0, 6.0, 6.5], [0.0, 1.0, 3.0, 6.0]
    assert [choose_checkpoint(scores, kls, beta) for beta in (0.0, 0.5, 2.0, 5.0)] == [3, 2, 1, 0]
    assert switching_betas(scores, kls) == pytest.approx([0.5 / 3, 1.0, 4.0])


def test_of_equal_checkpoints_the_one_nearer_to_the_base() -> None:
    assert choose_checkpoint([1.0, 1.0], [3.0, 2.0], 0.0) == 1


def test_a_policy_above_the_frontier_raises_a_flag(scores: np.ndarray) -> None:
    reached, kl, _ = ideal_policy(scores, 4.0)
    honest, wrong = (5, reached - 0.1, kl), (10, reached + 3.0, kl)
    far = (15, reached + 3.0, kl + 50)
    flags = find_flags(scores, [(0, scores.mean(1), np.zeros(40)), honest, wrong, far], resamples=200)
    assert [flag.step for flag in flags] == [10]
    assert 0 < flags[0].low < flags[0].excess
