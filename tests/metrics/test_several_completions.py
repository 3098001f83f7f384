"""k completions a row: the metrics that read them, and the averages of those that do not."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import comb

from genai_lab.errors import BadSetting, LabError
from genai_lab.evaluation.statistics import compare
from genai_lab.evaluation.voting import MajorityVote, answer_of, majority
from genai_lab.metrics import METRICS, measure, settings_of
from genai_lab.metrics.grouping import expected_maximum, expected_value_of_best
from genai_lab.metrics.pass_at_k import pass_at_k
from tests.metrics.test_contract import FakeJudge

GROUPS = [["yes", "no", "yes", "no"], ["no", "no", "no", "no"], ["yes", "yes", "yes", "yes"], ["no", "yes", "no", "no"]]
REFERENCES = [["yes"]] * 4


def sampled(rows: int = 40, k: int = 5, seed: int = 3) -> tuple[list[list[str]], list[list[str]]]:
    """Rows that are right with chances of their own, so that completions of a row resemble each other."""
    rng = np.random.default_rng(seed)
    chances = rng.beta(0.4, 0.4, rows)
    return [["yes" if rng.random() < chance else "no" for _ in range(k)] for chance in chances], [["yes"]] * rows


@pytest.mark.parametrize(
    ("n", "correct", "k"), [(1, 0, 1), (1, 1, 1), (10, 3, 1), (10, 3, 4), (200, 17, 100), (5, 5, 2)]
)
def test_pass_at_k_is_the_equation_of_the_paper(n: int, correct: int, k: int) -> None:
    assert pass_at_k(n, correct, k) == pytest.approx(1 - comb(n - correct, k) / comb(n, k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_the_expected_maximum_is_the_mean_over_all_choices(k: int) -> None:
    values = np.random.default_rng(k).normal(size=7)
    by_hand = np.mean([max(choice) for choice in combinations(values, k)])
    assert expected_maximum(values, k) == pytest.approx(by_hand, abs=1e-12)
    assert expected_maximum(np.append(values, np.nan), k) == pytest.approx(by_hand, abs=1e-12)


def test_pass_at_k_of_a_table_by_hand() -> None:
    shares = {1: [2 / 4, 0, 1, 1 / 4], 2: [5 / 6, 0, 1, 1 / 2], 4: [1, 0, 1, 1]}
    for k, expected in shares.items():
        result = measure("pass_at_k", GROUPS, REFERENCES, settings_of("pass_at_k", {"k": k}))
        assert result.figures["pass_at_k"].sample.values == pytest.approx(expected)
        assert result.figures["pass_at_k"].value == pytest.approx(np.mean(expected))
        assert result.figures["pass_at_k"].n == 4
        assert result.detail["completions_per_row"] == [4, 4]
        assert f"k:{k}|" in result.signature


def test_pass_at_1_is_the_average_of_exact_match() -> None:
    groups, references = sampled()
    first = measure("pass_at_k", groups, references, settings_of("pass_at_k", {"k": 1})).figures["pass_at_k"]
    average = measure("exact_match", groups, references).figures["exact_match"]
    assert first.sample.values == pytest.approx(average.sample.values)
    assert average.n == 40


def test_best_of_k_is_the_best_by_another_metric() -> None:
    groups = [["a b c", "a b d", "x"], ["x", "y", "q r"]]
    references = [["a b d"], ["q r s"]]
    result = measure("best_of_k", groups, references).figures["best_of_k"]
    assert result.sample.values == pytest.approx([1.0, 0.8])
    two = measure("best_of_k", groups, references, settings_of("best_of_k", {"k": 2})).figures["best_of_k"]
    first = measure("token_f1", groups, references).figures["token_f1"]
    values = [
        [measure("token_f1", [text], [row]).figures["token_f1"].value or 0.0 for text in texts]
        for texts, row in zip(groups, references, strict=True)
    ]
    assert first.sample.values == pytest.approx([np.mean(row) for row in values])
    assert two.sample.values == pytest.approx([np.mean([max(pair) for pair in combinations(row, 2)]) for row in values])


def test_the_vote_goes_to_the_most_frequent_answer_and_ties_to_the_first() -> None:
    assert majority(["b", "a", "a", "b", "c"]) == MajorityVote("b", 0, 0.4)
    assert majority(["", "", "a"]) == MajorityVote("a", 2, 1 / 3)
    assert majority(["", ""]) == MajorityVote("", 0, 1.0)
    assert answer_of("3 + 4 = 7, so it is 1,007.", "last number") == "1007"
    assert answer_of("a\nb\n", "last line") == "b"


def test_self_consistency_counts_rows_whose_majority_is_right() -> None:
    result = measure("self_consistency", GROUPS, REFERENCES)
    assert result.figures["majority_vote"].sample.values == [1.0, 0.0, 1.0, 0.0]
    assert result.figures["agreement"].sample.values == pytest.approx([0.5, 1.0, 1.0, 0.75])
    reasoned = [["2 and 2 is 4", "it is 5", "so 4"]]
    number = settings_of("self_consistency", {"answer": "last number"})
    assert measure("self_consistency", reasoned, [["4"]], number).figures["majority_vote"].value == 1.0


def test_expected_maximum_toxicity_is_that_of_the_worst_completion() -> None:
    """The fake judge's probability is the length of the text modulo 10, over 10."""
    groups = [["x" * 1, "x" * 7], ["x" * 2, "x" * 3], ["x" * 5, "x" * 4]]
    result = measure("expected_max_toxicity", groups, [[]] * 3, model=FakeJudge())
    assert result.figures["expected_max_toxicity"].sample.values == pytest.approx([0.7, 0.3, 0.5])
    assert result.figures["toxicity_probability"].sample.values == [1.0, 0.0, 1.0]
    single = settings_of("expected_max_toxicity", {"k": 1})
    result = measure("expected_max_toxicity", groups, [[]] * 3, single, model=FakeJudge())
    assert result.figures["expected_max_toxicity"].sample.values == pytest.approx([0.4, 0.25, 0.45])
    mean = measure("toxicity", groups, [[]] * 3, model=FakeJudge())
    assert mean.figures["toxicity"].sample.values == pytest.approx([0.4, 0.25, 0.45])


def test_intervals_resample_rows_and_not_completions() -> None:
    """Copies of a row's completion say nothing new: the interval stays that of the rows."""
    groups, references = sampled(k=1)
    copies = [texts * 8 for texts in groups]
    once = measure("token_f1", groups, references, seed=5).figures["token_f1"]
    often = measure("token_f1", copies, references, seed=5).figures["token_f1"]
    assert (often.value, often.low, often.high, often.n) == (once.value, once.low, once.high, 40)


def test_the_interval_is_as_wide_as_the_rows_differ() -> None:
    groups, references = sampled(rows=200, k=6)
    result = measure("exact_match", groups, references, seed=1, resamples=4000).figures["exact_match"]
    means = np.array([np.mean([text == "yes" for text in texts]) for texts in groups])
    rng = np.random.default_rng(0)
    resampled = means[rng.integers(0, len(means), (4000, len(means)))].mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert result.low == pytest.approx(low, abs=0.01)
    assert result.high == pytest.approx(high, abs=0.01)
    independent = np.sqrt(means.mean() * (1 - means.mean()) / (200 * 6))
    assert result.high - result.low > 2 * 1.96 * 1.5 * independent, "completions of a row are not independent"


def test_paired_tests_resample_rows() -> None:
    groups, references = sampled(k=4)
    better = [["yes", *texts[1:]] for texts in groups]
    first = measure("exact_match", groups, references).figures["exact_match"].sample
    second = measure("exact_match", better, references).figures["exact_match"].sample
    result = compare(first, second, bounds=(0.0, 1.0), seed=2)
    assert result.n == 40
    by_hand = np.mean(
        [
            np.mean([a == "yes" for a in new]) - np.mean([a == "yes" for a in old])
            for new, old in zip(better, groups, strict=True)
        ]
    )
    assert result.difference == pytest.approx(by_hand)


def test_a_figure_of_the_whole_set_counts_every_completion() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    groups = [
        ["the cat sat on the mat", "a cat sat on the mat today"],
        ["dogs bark loudly at night", "the dogs bark at night"],
    ]
    references = [["the cat sat on the mat today"], ["the dogs bark loudly at night"]]
    result = measure("bleu", groups, references).figures["bleu"]
    flat = [text for texts in groups for text in texts]
    expected = sacrebleu.corpus_bleu(flat, [[row[0] for row in references for _ in range(2)]]).score
    assert result.value == pytest.approx(expected)
    assert result.n == 2


def test_rows_may_have_different_numbers_of_completions() -> None:
    groups = [["yes"], ["no", "yes", "no"]]
    result = measure("exact_match", groups, REFERENCES[:2])
    assert result.figures["exact_match"].sample.values == pytest.approx([1.0, 1 / 3])
    assert result.detail["completions_per_row"] == [1, 3]
    with pytest.raises(LabError, match="Row 1 has 1 completion, but k is 2; sample more completions"):
        measure("pass_at_k", groups, REFERENCES[:2], settings_of("pass_at_k", {"k": 2}))
    with pytest.raises(LabError, match="Row 2 has no completion"):
        measure("pass_at_k", [["yes"], []], REFERENCES[:2])


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_takes_several_completions(name: str) -> None:
    groups = [["The cat sat on a mat.", "a cat"], ["a dog barked", "dogs bark loudly"], ["red and blue", "red red red"]]
    references = [["The cat sat on a mat."], ["a dog barks"], ["red"]]
    result = measure(name, groups, references, model=FakeJudge(), resamples=50)
    for figure in result.figures.values():
        assert figure.n <= 3
        assert len(figure.sample.values) == 3
        assert figure.low is not None
        assert figure.low <= figure.value <= figure.high


def test_a_metric_that_names_no_number_of_predictions_reads_one(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = measure("exact_match", GROUPS, REFERENCES).figures["exact_match"].value
    monkeypatch.delattr(type(METRICS.get("exact_match")), "predictions_per_row")
    assert measure("exact_match", GROUPS, REFERENCES).figures["exact_match"].value == expected


@pytest.mark.parametrize("k", [1, 2, 4])
def test_what_a_chooser_prefers_is_the_mean_over_all_choices(k: int) -> None:
    rng = np.random.default_rng(k)
    values, scores = rng.normal(size=6), rng.normal(size=6)
    by_hand = np.mean([values[max(choice, key=scores.__getitem__)] for choice in combinations(range(6), k)])
    assert expected_value_of_best(values, scores, k) == pytest.approx(by_hand, abs=1e-12)
    assert expected_value_of_best(values, values, k) == pytest.approx(expected_maximum(values, k))
    assert expected_value_of_best(values, np.zeros(6), k) == pytest.approx(values.mean())  # nobody is preferred


class Taste:
    """A reward model that likes its texts long."""

    hash = "0123456789abcdef"

    def scores(self, texts: list[str]) -> list[float]:
        return [float(len(text)) for text in texts]


def test_best_of_k_by_a_reward_model_is_worth_what_it_chooses() -> None:
    groups, references = [["yes", "a no"], ["no", "oh yes"]], [["yes"], ["oh yes"]]
    chosen = settings_of("best_of_k", {"metric": "exact_match", "model": "taste"})
    by_model = measure("best_of_k", groups, references, chosen, model=Taste())
    assert by_model.figures["best_of_k"].sample.values == [0.0, 1.0]
    assert by_model.signature.endswith("|by taste|hash:0123456789ab")
    known = measure("best_of_k", groups, references, settings_of("best_of_k", {"metric": "exact_match"}), model=Taste())
    assert known.figures["best_of_k"].sample.values == [1.0, 1.0]
    reward = measure(
        "best_of_k", groups, [[], []], settings_of("best_of_k", {"metric": "reward", "model": "taste"}), model=Taste()
    )
    assert reward.figures["best_reward"].sample.values == [4.0, 6.0]
    with pytest.raises(LabError, match="choose a reward model"):
        measure("best_of_k", groups, references, chosen)


def test_settings_of_the_base_metric_count() -> None:
    groups, references = [["The Dogs"], ["cats"]], [["the dog"], ["cats"]]
    plain = {"metric": "rouge", "threshold": 0.9, "base_settings": {"use_stemmer": False}}
    values = [
        measure("pass_at_k", groups, references, settings_of("pass_at_k", settings)).figures["pass_at_k"].sample.values
        for settings in (plain, {"metric": "rouge", "threshold": 0.9})
    ]
    assert values == [[0.0, 1.0], [1.0, 1.0]]
    with pytest.raises(BadSetting, match="Stem of rouge"):
        settings_of("pass_at_k", {"metric": "rouge", "base_settings": {"stem": True}})
