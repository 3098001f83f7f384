"""Agreement equals the reference libraries' on random votes and real annotators, and says where it is undefined."""

import gzip
import json
from itertools import combinations
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from genai_lab.feedback import verdicts
from genai_lab.feedback.agreement import MISSING, AgreementValue, against_the_rest, agreement, disputes
from genai_lab.feedback.bias import consistency, position
from genai_lab.feedback.simulate import SimulatedAnnotator, labels, ranking

PANDALM = Path(__file__).resolve().parents[2] / "../shared/data/preference/pandalm_human_dev.jsonl.gz"
FORMS = {"nominal": "nominal", "ordinal": "ordinal"}


def random_votes(missing: float, seed: int = 3, annotators: int = 4) -> NDArray[np.int64]:
    draw = np.random.default_rng(seed)
    votes = labels(draw.integers(0, 3, 120), (0.9, 0.7, 0.5, 0.8)[:annotators], 3, seed)
    votes[draw.random(votes.shape) < missing] = MISSING
    return votes


def as_reference(votes: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(votes == MISSING, np.nan, votes).T


def ends(figure: AgreementValue) -> tuple[float, float]:
    assert figure.low is not None
    assert figure.high is not None
    return figure.low, figure.high


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("form", FORMS)
def test_alpha_equals_the_reference(missing: float, form: str) -> None:
    votes = random_votes(missing)
    expected = krippendorff.alpha(as_reference(votes), value_domain=[0, 1, 2], level_of_measurement=form)
    assert agreement(votes)[f"Krippendorff's alpha, {form}"].value == pytest.approx(expected, abs=1e-12)


def test_kappas_equal_the_references() -> None:
    votes = random_votes(0.0)
    figures = agreement(votes)
    assert figures["Fleiss' kappa"].value == pytest.approx(fleiss_kappa(aggregate_raters(votes)[0]), abs=1e-12)
    pairs = [cohen_kappa_score(votes[:, a], votes[:, b]) for a, b in combinations(range(4), 2)]
    assert figures["Cohen's kappa"].value == pytest.approx(np.mean(pairs), abs=1e-12)
    same = np.mean([votes[:, a] == votes[:, b] for a, b in combinations(range(4), 2)])
    assert figures["percent agreement"].value == pytest.approx(same)


@pytest.mark.skipif(not PANDALM.is_file(), reason="the shared data are absent")
def test_all_figures_of_real_annotators_equal_the_references() -> None:
    rows = [json.loads(line) for line in gzip.decompress(PANDALM.read_bytes()).splitlines()]
    code = {1: 0, 0: 1, 2: 2}
    votes = np.array([[code[row[f"annotator{n}"]] for n in (1, 2, 3)] for row in rows])
    figures = agreement(votes)
    for form in FORMS:
        expected = krippendorff.alpha(as_reference(votes), level_of_measurement=form)
        assert figures[f"Krippendorff's alpha, {form}"].value == pytest.approx(expected, abs=1e-12)
    assert figures["Fleiss' kappa"].value == pytest.approx(fleiss_kappa(aggregate_raters(votes)[0]), abs=1e-12)
    pairs = [cohen_kappa_score(votes[:, a], votes[:, b]) for a, b in combinations(range(3), 2)]
    assert figures["Cohen's kappa"].value == pytest.approx(np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (np.zeros((5, 1), dtype=np.int64), "at least two annotators"),
        (np.array([[0, MISSING], [MISSING, 1], [1, 1]]), "at least two items"),
        (np.ones((6, 3), dtype=np.int64), "All answers are the same"),
    ],
)
def test_what_is_undefined_is_one_sentence(votes: NDArray[np.int64], message: str) -> None:
    for figure in agreement(votes).values():
        assert figure.value is None
        assert message in figure.why


def test_unequal_numbers_of_votes_leave_fleiss_out_and_alpha_in() -> None:
    figures = agreement(random_votes(0.3))
    assert "same number of votes" in figures["Fleiss' kappa"].why
    assert figures["Krippendorff's alpha, nominal"].value is not None


def test_intervals_hold_what_they_say() -> None:
    """The true alpha of infinitely many items lies in 95 % of the intervals, give or take."""
    accuracy = (0.85, 0.75, 0.8)
    draw = np.random.default_rng(0)
    many = labels(draw.integers(0, 3, 200_000), accuracy, 3, 1)
    truth = agreement(many[:100_000], seed=0)["percent agreement"].value
    assert truth is not None
    hits = 0
    for seed in range(100):
        figures = agreement(labels(draw.integers(0, 3, 80), accuracy, 3, seed), seed=seed)["percent agreement"]
        low, high = ends(figures)
        hits += low <= truth <= high
    assert 88 <= hits <= 100


def test_votes_of_one_item_are_drawn_together() -> None:
    votes = random_votes(0.0)
    alone = agreement(votes)["percent agreement"]
    copies = agreement(np.repeat(votes, 5, 0), clusters=np.repeat(np.arange(len(votes)), 5))["percent agreement"]
    assert copies.n == alone.n
    few, many = ends(alone), ends(copies)
    assert many[1] - many[0] == pytest.approx(few[1] - few[0], rel=0.15)


def test_the_one_who_guesses_stands_apart_and_disputed_items_come_first() -> None:
    truth = np.random.default_rng(5).integers(0, 3, 300)
    votes = labels(truth, (0.95, 0.9, 0.93, 0.34), 3, 9)
    assert [item.annotator for item in against_the_rest(votes) if item.differs] == [3]
    order = disputes(votes[:, :3], list(range(300)))
    shares = list(order.values())
    assert shares == sorted(shares, reverse=True)
    worst = next(iter(order))
    assert len(set(votes[worst, :3])) > 1


def test_self_consistency_and_position_bias_of_simulated_annotators() -> None:
    draw = np.random.default_rng(2)
    fair, leaning = SimulatedAnnotator(skill=1.0), SimulatedAnnotator(skill=1.0, side=1.5)
    for person, biased in ((fair, False), (leaning, True)):
        orders, groups = [], []
        for _ in range(500):
            order = [int(item) for item in draw.permutation(2)]
            strengths = np.array([0.3, 0.0])[order]
            orders.append(order)
            groups.append([[order[item]] for item in ranking(strengths, person, draw)])
        figures = position(orders, groups)
        assert figures.n == 500
        assert figures.p is not None
        assert (figures.p < 0.001) == biased
    same = verdicts([[0], [1]])
    other = verdicts([[1], [0]])
    figures = consistency([(same, same), (same, other), (same, same)])
    assert (figures.value, figures.n) == (pytest.approx(2 / 3), 3)


def test_pairs_of_one_ranking_count_as_one_answer() -> None:
    """Of annotators who are alike few stand apart, who like no side rarely seem to, and intervals cover the truth."""
    draw = np.random.default_rng(3)

    def answer(strengths: NDArray[np.float64]) -> list[list[int]]:
        return [[int(item)] for item in np.argsort(-(strengths + draw.gumbel(size=6)))]

    def rankings(items: int, people: int) -> list[list[list[list[int]]]]:
        return [[answer(strengths) for _ in range(people)] for strengths in draw.normal(size=(items, 6))]

    twice = [tuple(map(verdicts, answers)) for answers in rankings(1500, 2)]
    truth = consistency(twice).value  # type: ignore[arg-type]
    assert truth is not None
    covered = biased = flagged = 0
    for start in range(0, 1500, 15):
        figures = consistency(twice[start : start + 15])  # type: ignore[arg-type]
        covered += figures.low <= truth <= figures.high
        groups = rankings(15, 1)
        p = position([list(range(6))] * 15, [answers[0] for answers in groups]).p
        biased += p is not None and p < 0.05
    for _ in range(40):
        votes = np.array([list(verdicts(item).values()) for answers in rankings(8, 4) for item in answers]).reshape(
            8, 4, 15
        )
        table = 1 - votes.transpose(0, 2, 1).reshape(120, 4)
        flagged += any(item.differs for item in against_the_rest(table, clusters=np.repeat(np.arange(8), 15).tolist()))
    assert covered >= 89
    assert biased <= 11
    assert flagged <= 6
