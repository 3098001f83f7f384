"""Rewards: parts as text, every kind's contract, values by hand, and bad input."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from genai_lab.errors import LabError
from genai_lab.rewards import REWARDS, RewardInput, RewardScorer, read_parts
from genai_lab.rewards.repetition import repeated_share
from genai_lab.rewards.scoring import card_of
from genai_lab.starter.tasks.reply import Reply, helpfulness, is_rude

WEIGHTS = Path(__file__).resolve().parents[2] / "genai_lab" / "starter" / "weights"
TARGETS = {"reward_model": ":judge", "classifier": ":judge", "metric": ":token_f1"}
ITEMS = [
    RewardInput("Where is it?", "It is behind the church.", "It is behind the church.", 7, True),
    RewardInput("Where is it?", "the the the the the", "I do not know.", 5, False),
    RewardInput("Where is the church, please?", "", "Left.", 1, True),
]


class Judge:
    """Stands for every model: what it says of a text is its number of words."""

    def rewards(self, prompts: Sequence[Any], completions: Sequence[str]) -> list[float]:
        return [float(len(text.split())) for text in completions]

    def label_values(self, texts: Sequence[str], label: str, form: str) -> list[float]:
        return [float(len(text.split())) / 10 for text in texts]


def scored(*texts: str, items: Sequence[RewardInput] = ITEMS) -> Any:
    return RewardScorer(read_parts(texts), {"judge": Judge()}).score(items)


@pytest.mark.parametrize("kind", list(REWARDS))
def test_every_kind_gives_one_number_for_each_completion(kind: str) -> None:
    scores = scored(f"0 * {kind}{TARGETS.get(kind, '')}")
    assert scores.parts.shape == (3, 1)
    assert not any(math.isnan(value) for value in scores.parts[2])
    assert scores.total.tolist() == [0, 0, 0] or math.isnan(scores.total[0])
    assert REWARDS.get(kind).about.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "reward_model:polite",
        "classifier:starter-toxicity label='not toxic' form=logit",
        "-0.05 * length",
        "length unit=words goal=12",
        "0 * helpful_reply",
        "0.5 * metric:rouge figure=rougeL",
    ],
)
def test_a_part_is_written_as_it_is_read(text: str) -> None:
    if "figure" in text:
        text = text.replace("rougeL", "rouge1_f1") if "rouge1_f1" in _figures("rouge") else "0.5 * metric:rouge"
    (part,) = read_parts([text])
    assert str(part) == text
    assert read_parts([str(part)]) == (part,)


def _figures(metric: str) -> list[str]:
    from genai_lab.metrics import METRICS

    return [figure.name for figure in METRICS.get(metric).figures]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hm", "no reward called 'hm'"),
        ("length:3", "without '3' behind it"),
        ("metric", "metric:NAME"),
        ("metric:nonsense", "no metric called 'nonsense'"),
        ("metric:bertscore", "needs a model"),
        ("metric:rouge figure=x", "no figure 'x'"),
        ("pattern pattern=(", "a regular expression"),
        ("length unit=parrots", "one of tokens, words"),
        ("length parrots", "no name=value"),
        ("2 *", "WEIGHT \\* KIND"),
        ("classifier:x label='open", "WEIGHT \\* KIND"),
    ],
)
def test_what_is_no_part_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        read_parts([text])


def test_a_part_that_stands_twice_is_refused() -> None:
    with pytest.raises(LabError, match="named once"):
        read_parts(["length", "-1 * length"])


def test_the_score_is_the_weighted_sum_and_a_weight_of_zero_only_measures() -> None:
    scores = scored("2 * reward_model:judge", "-0.5 * length", "0 * ended")
    assert scores.total.tolist() == [2 * 5 - 3.5, 2 * 5 - 2.5, -0.5]
    assert scores.of("ended").tolist() == [1, 0, 1]
    assert scores.of("reward model judge").tolist() == [5, 5, 0]


def test_values_by_hand() -> None:
    assert scored("length unit=words goal=3").parts[:, 0].tolist() == [-2, -2, -3]
    assert repeated_share("the the the the the", 3) == pytest.approx(2 / 3)
    assert scored("repetition n=1").parts[:, 0].tolist() == [0, pytest.approx(0.8), 0]
    assert scored("metric:exact_match").parts[:, 0].tolist() == [1, 0, 0]
    assert scored("pattern pattern='the' count=true").parts[:, 0].tolist() == [1, 5, 0]
    assert scored("pattern pattern='^the'").parts[:, 0].tolist() == [0, 1, 0]
    assert scored("classifier:judge").parts[:, 0].tolist() == [-0.5, -0.5, 0]
    assert scored("classifier:judge form=probability").parts[:, 0].tolist() == [0.5, 0.5, 1]
    assert scored("classifier:judge label=x").parts[:, 0].tolist() == [0.5, 0.5, 0]


def test_a_reward_that_is_not_a_number_names_itself_and_the_completion() -> None:
    class Broken(Judge):
        def rewards(self, prompts: Sequence[Any], completions: Sequence[str]) -> list[float]:
            return [1.0, math.nan, 2.0]

    with pytest.raises(LabError, match="reward model judge of the completion 'the the the the the' is not a number"):
        RewardScorer(read_parts(["reward_model:judge"]), {"judge": Broken()}).score(ITEMS)


def test_the_toxicity_classifier_says_log_odds_that_do_not_flatten() -> None:
    (part,) = read_parts(["classifier:starter-toxicity"])
    model = part.reward.load(card_of(WEIGHTS / "starter-toxicity", "starter-toxicity"), "cpu")
    texts = ["Of course! Take the radio.", "Shut up, you stupid idiot.", "What an ugly moron you are, Tom!"]
    odds = part.reward.values([RewardInput("", text) for text in texts], "", part.settings, model)
    shares = model.scores(texts)
    assert odds[0] > 2 > -2 > max(odds[1:])
    assert [-math.log(share / (1 - share)) for share in shares] == pytest.approx(odds, rel=1e-3)


def test_a_model_that_is_no_reward_is_refused() -> None:
    card = card_of(WEIGHTS / "starter-toxicity", "starter-toxicity")
    with pytest.raises(LabError, match="choose a reward model"):
        REWARDS.get("reward_model").check_model(card, None)
    with pytest.raises(LabError, match="choose a classifier"):
        REWARDS.get("classifier").check_model(card_of(WEIGHTS / "starter-causal", "starter-causal"), None)


def test_the_world_knows_which_replies_help() -> None:
    rng, values = random.Random(3), {"helpful": 1.0, "curt": 0.5, "rude": 0.0}
    examples = [Reply().draw(rng, "test") for _ in range(300)]
    for example in examples:
        assert helpfulness(example.prompt, example.references[0]) == values[example.labels["attribute"]]
        assert is_rude(example.references[0]) == (example.labels["attribute"] == "rude")
    helpful = [example for example in examples if example.labels["attribute"] == "helpful"]
    strangers = [
        helpfulness(first.prompt, second.references[0])
        for first, second in pairwise(helpful)
        if first.labels["intent"] != second.labels["intent"]
    ]
    assert len(strangers) > 30
    assert sum(strangers) < 0.1 * len(strangers)
    assert math.isnan(helpfulness("What is two and two?", "Four."))
