"""Scores equal a reference without ties, find what was simulated within their intervals, count votes honestly."""

import choix
import numpy as np
import pytest

from genai_lab.errors import LabError
from genai_lab.feedback import bradley_terry as bt
from genai_lab.feedback.bradley_terry import Ballot, compare_systems, fit, votes_needed, win_matrix
from genai_lab.feedback.simulate import SimulatedAnnotator, ballot

STRENGTHS = (1.2, 0.6, 0.0, -0.5, -1.3)
NAMES = ("a", "b", "c", "d", "e")


def votes_of(first: list[int], second: list[int], outcome: list[int]) -> Ballot:
    arrays = [np.array(item, dtype=np.int64) for item in (first, second, outcome)]
    return Ballot(*arrays, np.ones(len(first)))


def test_without_ties_the_strengths_equal_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bt, "PRIOR", 1e6)
    votes = ballot(STRENGTHS, 3000, [SimulatedAnnotator(tie=0.0)], seed=1)
    wins = [
        (a, b) if outcome > 0 else (b, a)
        for a, b, outcome in zip(votes.first, votes.second, votes.outcome, strict=True)
    ]
    expected = choix.ilsr_pairwise(5, wins, alpha=0.0)
    fitted = fit(NAMES, votes, resamples=50)
    assert fitted.strengths == pytest.approx(expected - expected.mean(), abs=1e-6)
    assert fitted.tie is None


def test_annotators_of_known_skill_give_back_the_true_order_within_the_intervals() -> None:
    people = [SimulatedAnnotator(), SimulatedAnnotator(), SimulatedAnnotator()]
    inside = total = ordered = 0
    for seed in range(60):
        fitted = fit(NAMES, ballot(STRENGTHS, 900, people, seed), resamples=200, seed=seed)
        centred = np.array(STRENGTHS) - np.mean(STRENGTHS)
        for line in fitted.lines:
            true = 1000 + bt.SCALE * centred[NAMES.index(line.system)]
            inside += line.low <= true <= line.high
            total += 1
        ordered += [line.system for line in fitted.lines] == list(NAMES)
        assert all(line.rank_low <= line.rank <= line.rank_high for line in fitted.lines)
    assert 0.90 <= inside / total <= 0.985
    assert ordered >= 57


@pytest.mark.parametrize("gap", [0.3, 0.5, 0.8])
def test_as_many_votes_as_are_said_to_be_needed_tell_two_systems_apart_in_four_of_five_cases(gap: float) -> None:
    count = votes_needed(gap, np.log(0.5))
    assert count is not None
    distinguished = 0
    for seed in range(400):
        votes = ballot((gap, 0.0), count, [SimulatedAnnotator(tie=0.5)], seed=seed)
        fitted = fit(("a", "b"), votes, resamples=200, seed=seed)
        _, low, _, _ = compare_systems(fitted, 0, 1)
        distinguished += low > 0
    assert 0.72 <= distinguished / 400 <= 0.88


def agreeing(gap: float, items: int, seed: int) -> Ballot:
    """Two annotators an item who always say the same."""
    item = ballot((gap, 0.0), items, [SimulatedAnnotator(tie=0.0)], seed=seed)
    first, second, outcome = (np.repeat(part, 2) for part in (item.first, item.second, item.outcome))
    return Ballot(first, second, outcome, np.ones(2 * items), np.repeat(np.arange(items), 2))


def test_votes_needed_hold_where_two_annotators_of_an_item_always_agree() -> None:
    pilot = fit(("a", "b"), agreeing(0.5, 60, seed=0), resamples=100)
    assert pilot.design_effect == pytest.approx(2.0)
    count = votes_needed(0.5, None, design_effect=pilot.design_effect)
    assert count == pytest.approx(2 * (votes_needed(0.5, None) or 0), abs=1)
    distinguished = 0
    for seed in range(300):
        fitted = fit(("a", "b"), agreeing(0.5, count // 2, seed=seed), resamples=200, seed=seed)
        distinguished += compare_systems(fitted, 0, 1)[1] > 0
    assert 0.72 <= distinguished / 300 <= 0.88


def test_the_design_effect_is_one_for_single_votes_and_between_for_votes_that_agree_in_part() -> None:
    once = ballot((0.5, 0.0), 400, [SimulatedAnnotator(tie=0.3)], seed=1)
    single = Ballot(once.first, once.second, once.outcome, once.weight, np.arange(400))
    assert fit(("a", "b"), single, resamples=20).design_effect == 1.0
    other = ballot((0.5, 0.0), 400, [SimulatedAnnotator(tie=0.3)], seed=2)
    both = [
        np.concatenate(pair)
        for pair in zip(
            (once.first, once.second, once.outcome), (other.first, other.second, other.outcome), strict=True
        )
    ]
    independent = Ballot(*both, np.ones(800), np.tile(np.arange(400), 2))
    assert fit(("a", "b"), independent, resamples=20).design_effect == pytest.approx(1.0, abs=0.1)


def test_equal_votes_on_an_item_ask_for_as_many_items_as_single_votes() -> None:
    """25 items for one and 15 for the other: two equal votes an item ask for twice the votes of one."""
    outcome = np.array([1] * 25 + [-1] * 15)
    zeros, ones = np.zeros(40, dtype=np.int64), np.ones(40, dtype=np.int64)
    single = fit(("a", "b"), Ballot(zeros, ones, outcome, np.ones(40), np.arange(40)))
    twice = Ballot(*(np.repeat(item, 2) for item in (zeros, ones, outcome)), np.ones(80), np.repeat(np.arange(40), 2))
    votes_needed, equal = compare_systems(single, 0, 1)[3], compare_systems(fit(("a", "b"), twice), 0, 1)[3]
    assert votes_needed is not None
    assert equal == pytest.approx(2 * votes_needed, rel=0.1)


def test_more_votes_are_asked_for_only_where_the_interval_holds_no_difference() -> None:
    clear = fit(NAMES, ballot(STRENGTHS, 5000, [SimulatedAnnotator()], seed=2), resamples=200)
    assert compare_systems(clear, 0, 4)[3] == 0
    close = fit(("a", "b"), ballot((0.05, 0.0), 40, [SimulatedAnnotator()], seed=1), resamples=200)
    needed = compare_systems(close, 0, 1)[3]
    assert needed is None or needed > 0


def test_length_is_taken_out_where_it_decides() -> None:
    """Two equal systems, one of them longer, and annotators who like what is long."""
    draw = np.random.default_rng(4)
    n = 4000
    length = draw.normal(150, 60, n)
    outcome = np.where(draw.random(n) < 1 / (1 + np.exp(-1.5 * np.tanh(length / length.std()))), 1, -1)
    votes = Ballot(np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64), outcome, np.ones(n), None, length)
    plain = fit(("long", "short"), votes, resamples=100)
    fair = fit(("long", "short"), votes, length_control=True, resamples=100)
    assert plain.lines[0].system == "long"
    assert plain.strengths[0] - plain.strengths[1] > 1.0
    assert abs(fair.strengths[0] - fair.strengths[1]) < 0.5
    assert fair.length is not None
    assert fair.length[1] > 0


def test_what_no_comparison_binds_together_is_told() -> None:
    separate = fit(("a", "b", "c", "d"), votes_of([0, 1, 2, 3], [1, 0, 3, 2], [1, 1, 1, 1]), resamples=20)
    assert "a, b; c, d" in separate.notes[0]
    beaten = fit(("a", "b"), votes_of([0] * 9, [1] * 9, [1] * 9), resamples=20)
    assert "won or lost every comparison" in beaten.notes[0]
    assert np.isfinite(beaten.strengths).all()
    with pytest.raises(LabError, match="at least two systems"):
        fit(("a",), votes_of([], [], []))


def test_a_weight_of_zero_is_no_vote_and_clusters_are_drawn_whole() -> None:
    votes = ballot(STRENGTHS, 400, [SimulatedAnnotator()], seed=3)
    doubled = Ballot(
        *(np.concatenate([item, item]) for item in (votes.first, votes.second, votes.outcome)), np.ones(800)
    )
    clustered = Ballot(doubled.first, doubled.second, doubled.outcome, doubled.weight, np.tile(np.arange(400), 2))
    alone = fit(NAMES, votes, resamples=300)
    together = fit(NAMES, clustered, resamples=300)
    width = [line.high - line.low for line in alone.lines]
    assert [line.high - line.low for line in together.lines] == pytest.approx(width, rel=0.25)
    zero = Ballot(doubled.first, doubled.second, doubled.outcome, np.repeat([1.0, 0.0], 400))
    assert fit(NAMES, zero, resamples=20).strengths == pytest.approx(alone.strengths, abs=1e-9)


def test_the_win_matrix_counts_a_tie_as_half() -> None:
    cells = win_matrix(2, votes_of([0, 0, 1, 0], [1, 1, 0, 1], [1, 1, 1, 0]))
    cell, back = cells[0][1], cells[1][0]
    assert cell is not None
    assert back is not None
    assert (cell.wins, cell.ties, cell.losses, cell.value) == (2, 1, 1, pytest.approx(2.5 / 4))
    assert back.value == pytest.approx(1.5 / 4)
    assert cells[0][0] is None
