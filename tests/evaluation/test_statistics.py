"""Intervals, paired tests, correction and the words that are made of them."""

from itertools import product

import numpy as np
import pytest

from genai_lab.evaluation.statistics import compare, correct_p_values, interval, verdict, wilson
from genai_lab.metrics import METRICS, Figure, Sample

SHARE = (0.0, 1.0)
FIGURE = Figure("rougeL", "ROUGE-L")


def test_proportions_use_wilson():
    from scipy.stats import binomtest

    hits = np.array([1.0] * 150 + [0.0] * 50)
    result = interval(Sample(hits, proportion=True), bounds=SHARE)
    theirs = binomtest(150, 200).proportion_ci(method="wilson")
    assert (result.value, result.n) == (0.75, 200)
    assert (result.low, result.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("n", [1, 2, 200])
def test_equal_scores_have_an_interval_with_width_that_shrinks_with_n(value, n):
    result = interval(Sample(np.full(n, value)), bounds=SHARE)
    assert result.low <= value <= result.high
    assert result.high - result.low > 0
    least, most = wilson(0.0, n)
    assert result.high - result.low <= (most - least) * 1.0 + 1e-12


def test_equal_scores_without_a_range_have_width_too():
    result = interval(Sample(np.full(50, 7.0)), bounds=(0.0, None))
    assert result.low < 7 < result.high


def test_equal_sums_have_an_interval_with_width():
    metric = METRICS.get("bleu")
    rows = metric.rows(["one two three four five"] * 30, [["one two three four five"]] * 30, metric.settings())
    result = interval(rows.samples["bleu"], bounds=(0.0, 100.0))
    assert result.value == pytest.approx(100)
    assert result.low < result.high


def test_few_unlike_rows_are_weighed_hits_of_wilson():
    values = np.zeros(200)
    values[:5] = 1.0
    result = interval(Sample(values), bounds=SHARE)
    low, high = wilson(5 / 200, 200)
    assert (result.low, result.high) == (pytest.approx(low), pytest.approx(high, abs=1e-12))


@pytest.mark.parametrize("n", [2, 3, 5, 7, 8, 20])
def test_small_samples_have_wide_finite_intervals(n):
    values = np.random.default_rng(n).random(n)
    result = interval(Sample(values), bounds=SHARE)
    assert 0 <= result.low < result.value < result.high <= 1


def test_intervals_cover_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(150):
        result = interval(Sample(rng.beta(0.3, 3, 200)), bounds=SHARE, seed=seed, resamples=400)
        covered += result.low <= 1 / 11 <= result.high
    assert 0.89 <= covered / 150 <= 0.99


def test_undefined_rows_are_left_out():
    assert interval(Sample(np.array([0.2, np.nan, 0.4] * 20)), bounds=SHARE).n == 40
    assert interval(Sample(np.array([np.nan])), bounds=SHARE).value is None


def test_same_seed_same_figures_and_another_seed_others():
    values = Sample(np.random.default_rng(1).random(100))
    assert interval(values, seed=4) == interval(values, seed=4)
    assert interval(values, seed=4) != interval(values, seed=5)


def test_a_real_difference_is_told_and_none_is_not():
    rng = np.random.default_rng(2)
    a = rng.random(400)
    better = np.clip(a + rng.normal(0.05, 0.1, 400), 0, 1)
    result = compare(Sample(a), Sample(better), bounds=SHARE)
    assert result.p_bootstrap < 0.01
    assert result.p_randomisation < 0.01
    assert result.low > 0
    assert result.effect == pytest.approx((better - a).mean() / (better - a).std(ddof=1))
    same = compare(Sample(a), Sample(rng.permutation(a)), bounds=SHARE)
    assert same.p_randomisation > 0.05
    assert same.low <= 0 <= same.high


def exact_p(gains: np.ndarray) -> float:
    """By definition: the share of all sign flips whose mean is at least as far from 0."""
    sums = [abs(sum(s * g for s, g in zip(signs, gains, strict=True))) for signs in product((1, -1), repeat=len(gains))]
    return sum(total >= abs(gains.sum()) - 1e-12 for total in sums) / len(sums)


def test_randomisation_of_few_rows_is_exact():
    for n in range(2, 8):
        for seed in range(6):
            draw = np.random.default_rng([n, seed])
            a = draw.random(n)
            b = np.clip(a + draw.normal(0.1, 0.2, n), 0, 1)
            assert compare(Sample(a), Sample(b), bounds=SHARE).p_randomisation == pytest.approx(exact_p(b - a))


@pytest.mark.parametrize("seed", range(20))
def test_five_rows_that_all_gain_give_a_p_of_one_in_sixteen(seed):
    draw = np.random.default_rng(seed)
    a = draw.random(5) / 2
    result = compare(Sample(a), Sample(a + draw.random(5) / 3 + 0.01), bounds=SHARE)
    assert result.p_randomisation == 0.0625
    assert verdict("A", "B", FIGURE, result).startswith("No significant difference")


def test_ties_of_many_equal_gains_count_as_ties():
    """13 rows differ, all by 0.1: only the two ways without a change of sign reach the real difference."""
    a = np.full(13, 0.3)
    result = compare(Sample(a), Sample(a + 0.1), bounds=SHARE, resamples=2000)
    assert result.p_randomisation < 0.005
    half = np.concatenate([a, a])
    mixed = compare(Sample(half), Sample(half + 0.1 * np.array([1, -1] * 13)), bounds=SHARE)
    assert mixed.p_randomisation == 1.0


@pytest.mark.parametrize(("won", "lost", "p"), [(5, 0, 0.0625), (8, 2, 0.109375), (12, 0, 0.00048828125)])
def test_hits_and_misses_give_the_exact_binomial_p(won, lost, p):
    a = np.array([0.0] * won + [1.0] * lost + [1.0] * 100)
    b = np.array([1.0] * won + [0.0] * lost + [1.0] * 100)
    assert compare(Sample(a, proportion=True), Sample(b, proportion=True)).p_randomisation == pytest.approx(p)


def test_few_rows_of_sums_are_enumerated_too():
    first = np.array([[1.0, 4.0], [2.0, 5.0], [1.0, 3.0], [3.0, 3.0]])
    second = np.array([[2.0, 4.0], [3.0, 5.0], [2.0, 3.0], [3.0, 3.0]])
    share = Sample(first, lambda sums: sums[:, 0] / sums[:, 1])
    result = compare(share, Sample(second, share.combine))
    assert result.p_randomisation == 0.25


def test_comparing_a_system_with_itself_finds_nothing_and_keeps_a_width():
    a = Sample(np.random.default_rng(3).random(200))
    result = compare(a, a, bounds=SHARE)
    assert (result.difference, result.p_randomisation, result.p_bootstrap, result.effect) == (0, 1, 1, 0)
    assert result.low < 0 < result.high


def test_corpus_metrics_are_compared_by_their_sums():
    metric = METRICS.get("chrf")
    references = [[f"the number {i} is a fine number to have"] for i in range(60)]
    good = metric.rows([reference[0][:-5] for reference in references], references, metric.settings()).samples["chrf"]
    poor = metric.rows(["another thing"] * 60, references, metric.settings()).samples["chrf"]
    result = compare(poor, good, bounds=(0.0, 100.0), resamples=200)
    assert result.difference > 20
    assert result.p_randomisation < 0.05
    assert result.p_bootstrap < 0.05


def test_holm_by_hand():
    assert correct_p_values([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert correct_p_values([0.9, 0.8]) == [1.0, 1.0]
    assert correct_p_values([]) == []


def test_verdict_tells_a_difference():
    rng = np.random.default_rng(5)
    a = rng.random(500) * 0.5
    result = compare(Sample(a), Sample(a + rng.normal(0.021, 0.05, 500)), bounds=SHARE)
    sentence = verdict("A", "B", FIGURE, result)
    assert sentence.startswith("B is better than A by 2.")
    assert "ROUGE-L, 95 % interval" in sentence
    assert "n = 500" in sentence
    worse = verdict("A", "B", Figure("x", "repetition", higher_is_better=False), result)
    assert worse.startswith("B is worse than A by 2.")


def test_verdict_tells_how_many_rows_are_needed():
    rng = np.random.default_rng(6)
    a = rng.random(200)
    result = compare(Sample(a), Sample(np.clip(a + rng.normal(0.01, 0.2, 200), 0, 1)), bounds=SHARE)
    sentence = verdict("A", "B", FIGURE, result)
    assert sentence.startswith("No significant difference between B and A")
    assert "rows would be needed" in sentence


def test_verdict_of_equal_means_and_of_equal_rows():
    swapped = compare(Sample(np.array([0.0, 1.0] * 50)), Sample(np.array([1.0, 0.0] * 50)), bounds=SHARE)
    assert verdict("A", "B", FIGURE, swapped).endswith("; on average they are equal.")
    rows = Sample(np.full(20, 0.5))
    assert verdict("A", "B", FIGURE, compare(rows, rows, bounds=SHARE)).endswith("; on average they are equal.")
    nothing = compare(Sample(np.array([np.nan])), Sample(np.array([1.0])))
    assert verdict("A", "B", FIGURE, nothing) == "B and A have no row in common."


def test_corrected_p_decides():
    rng = np.random.default_rng(7)
    a = rng.random(300)
    result = compare(Sample(a), Sample(a + rng.normal(0.012, 0.08, 300)), bounds=SHARE)
    assert verdict("A", "B", FIGURE, result, 0.2).startswith("No significant difference")
