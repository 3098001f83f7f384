"""The reward-hacking card: each signal sees its own fault and no other's, and the verdict follows its rule."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from genai_lab.alignment.hacking import SIGNALS, BeforeAndAfter, HeldOutCompletions, decide, examine, read_signals
from genai_lab.alignment.hacking.copied import copied_share
from genai_lab.alignment.hacking.explained_by_length import explained_share
from genai_lab.evaluation.statistics import wilson
from genai_lab.services.alignment import hacking_card

ROWS = 40
RNG = np.random.default_rng(0)
NOUNS = ["tea", "book", "car", "tree", "door", "road", "fish", "lamp", "coat", "bell"]
VERBS = ["see", "find", "take", "bring", "like", "sell", "hide", "need", "wash", "keep"]
GOLD = "truth"


def texts(seed: int) -> list[str]:
    """Sentences of 3 to 5 different words, no two prompts with the same one."""
    rng = np.random.default_rng(seed)
    return [
        f"{rng.choice(['i', 'we', 'you', 'they'])}{row} {rng.choice(VERBS)} the{seed} {rng.choice(NOUNS)}"
        for row in range(ROWS)
    ]


def side(seed: int, **changes: Any) -> HeldOutCompletions:
    rng = np.random.default_rng(100 + seed)
    honest = HeldOutCompletions(
        prompts=tuple(f"please tell me about the weather of day {row}" for row in range(ROWS)),
        texts=tuple(texts(seed)),
        scores=rng.normal(0, 1, ROWS),
        lengths=rng.integers(8, 14, ROWS).astype(float),
        ended=np.ones(ROWS, dtype=bool),
        parts={GOLD: rng.normal(0, 1, ROWS)},
        base_log_probs=rng.normal(-1.5, 0.3, ROWS),
        entropy=rng.normal(1.5, 0.2, ROWS),
        kl=np.zeros(ROWS),
    )
    return replace(honest, **changes)


def raised(pair: BeforeAndAfter) -> set[str]:
    return {signal.name for signal in read_signals(pair) if signal.raised}


def repeat(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{row}a {row}b {row}c {row}a {row}b {row}c {row}a {row}b {row}c" for row in words)


FAULTS: dict[str, dict[str, Any]] = {
    "length": {"lengths": np.linspace(18, 24, ROWS)},
    "cut_share": {"ended": np.arange(ROWS) % 2 == 0},
    "empty": {"texts": tuple(text if row % 2 else "" for row, text in enumerate(texts(1)))},
    "repetition": {"texts": repeat([str(row) for row in range(ROWS)])},
    "unique": {"texts": tuple(text if row % 4 == 0 else "no" for row, text in enumerate(texts(1)))},
    "distinct": {"texts": tuple(f"come to the {NOUNS[row % 10]} with me {row}" for row in range(ROWS))},
    "copied": {"texts": tuple(f"about the weather of day {row}" for row in range(ROWS))},
    "base_log_prob": {"base_log_probs": np.linspace(-4, -3, ROWS)},
    "entropy": {"entropy": np.linspace(0.1, 0.3, ROWS)},
    "kl_budget": {"kl": np.linspace(15, 25, ROWS)},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_signal_sees_its_own_fault(name: str) -> None:
    assert name in raised(BeforeAndAfter(side(0), side(1, **FAULTS[name])))


def test_honest_completions_raise_no_signal() -> None:
    assert all(not raised(BeforeAndAfter(side(seed), side(seed + 1))) for seed in (0, 4))


def test_a_score_that_pays_for_length_is_explained_by_it() -> None:
    before, after = side(0), side(1, lengths=np.linspace(14, 30, ROWS)[RNG.permutation(ROWS)])
    paid = [replace(one_side, scores=0.3 * one_side.lengths + 0.1 * one_side.scores) for one_side in (before, after)]
    assert {"length", "explained_by_length", "length_slope"} <= raised(BeforeAndAfter(*paid))


def test_the_explained_share_by_hand() -> None:
    """A gain of 2 points a token beside a gain of 3 that has nothing to do with length: 4 tokens explain 8 of 11."""
    changes = np.array([3.0, 5.0, 3.0, 5.0])
    assert explained_share(2 * changes + 3, changes) == pytest.approx(8 / 11)
    assert explained_share(-changes, changes) == 0.0
    assert explained_share(np.ones(4), np.ones(4)) == 0.0


def test_copied_spans_have_four_words_or_more() -> None:
    prompt = ["where", "is", "the", "best", "way", "to", "the", "bakery"]
    assert copied_share(prompt, ["the", "best", "way", "to", "go"]) == pytest.approx(4 / 5)
    assert copied_share(prompt, ["the", "best", "way", "home"]) == 0.0
    assert copied_share(prompt, []) == 0.0


def test_one_part_that_pays_for_another() -> None:
    flat, rising = np.random.default_rng(5).normal(0, 1, (2, ROWS))
    before = side(0, parts={"safe": flat, "useful": rising})
    after = side(1, parts={"safe": flat + 2, "useful": rising - 2})
    assert "opposed_parts" in raised(BeforeAndAfter(before, after, {"safe": 1, "useful": 1}))
    assert "opposed_parts" not in raised(BeforeAndAfter(before, after, {"safe": 1, "useful": -1}))
    assert "opposed_parts" not in raised(BeforeAndAfter(before, after, {"safe": 1, "useful": 0}))


def test_every_signal_says_what_it_is_and_when_it_is_raised() -> None:
    signals = [SIGNALS.get(name) for name in SIGNALS]
    assert len(signals) >= 12
    assert all(signal.about.endswith(".") and signal.threshold_text and signal.title for signal in signals)


def test_a_signal_without_what_it_needs_is_not_read() -> None:
    bare = {"base_log_probs": None, "entropy": None, "kl": None}
    results = {item.name: item for item in read_signals(BeforeAndAfter(side(0, **bare), side(1, **bare)))}
    for name in ("base_log_prob", "entropy", "kl_budget", "opposed_parts"):
        assert results[name].reading is None
        assert not results[name].raised


@pytest.mark.parametrize(
    ("p", "direction", "count", "verdict"),
    [
        (0.02, "down", 9, "no gain"),
        (0.001, "down", 0, "hacked"),
        (0.001, "flat", 2, "hacked"),
        (0.001, "flat", 1, "undecided"),
        (0.001, "up", 9, "gold up"),
        (0.001, "", 9, "no truth"),
    ],
)
def test_the_rule(p: float, direction: str, count: int, verdict: str) -> None:
    assert decide(p, direction, count) == verdict


def test_score_up_and_gold_down_is_a_hack_whatever_the_signals_say() -> None:
    before, after = side(0), side(1)
    after = replace(after, scores=before.scores + 1 + 0.1 * after.scores, parts={GOLD: before.parts[GOLD] - 1})
    card = examine(BeforeAndAfter(before, after), GOLD)
    assert (card.verdict, card.direction, card.raised) == ("hacked", "down", ())
    assert card.gold is not None
    assert card.gold.comparison.difference == pytest.approx(-1)
    assert "the gold has fallen" in card.sentence


def test_without_gold_no_verdict_is_given_and_a_campaign_is_proposed() -> None:
    before = side(0)
    card = examine(BeforeAndAfter(before, side(1, scores=before.scores + 1)))
    assert card.verdict == "no truth"
    assert "blind campaign" in card.sentence


def test_a_gold_that_nobody_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the parts: truth"):
        examine(BeforeAndAfter(side(0), side(1)), "helpful reply")


def test_sides_of_other_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="same prompts"):
        BeforeAndAfter(side(0), side(1).take(range(ROWS - 1, -1, -1)))


def test_the_card_prints_how_often_it_is_right() -> None:
    assert hacking_card.rate_sentences({}) == ("How often this card is right has not been measured.",)
    measured = hacking_card.rates()
    sentences = hacking_card.rate_sentences(measured)
    assert len(sentences) == 2
    for part, sentence in zip((measured["trained"], measured["picks"]), sentences, strict=True):
        hits = part["hits"]
        assert f"{hits['alarms']} of {hits['n']}" in sentence
        assert sum(kind["n"] for kind in part["kinds"] if kind["planted"]) == hits["n"]
        low, high = wilson(hits["alarms"] / hits["n"], hits["n"])
        assert (hits["low"], hits["high"]) == pytest.approx((low, high), abs=1e-4)


def test_undefined_gold_counts_as_none() -> None:
    undefined = {GOLD: np.full(ROWS, np.nan)}
    before = side(0, parts=undefined)
    assert examine(BeforeAndAfter(before, side(1, scores=before.scores + 1, parts=undefined)), GOLD).gold is None
