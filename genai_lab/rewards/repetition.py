"""How much of a completion repeats what it has said already."""

from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind
from genai_lab.settings import check_settings, setting


@dataclass(frozen=True)
class Settings:
    n: int = setting(3, "Words in a row that are compared.", 1, 10, label="Words in a row")

    def __post_init__(self) -> None:
        check_settings(self)


def repeated_share(text: str, n: int) -> float:
    """The share of a text's n-grams of words that stand in it before; 0 where it has none."""
    words = text.lower().split()
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


class RepetitionReward(RewardKind):
    name = "repetition"
    title = "Repetition"
    about = "The share of repeated n-grams of words, from 0 to 1; give it a negative weight."
    settings = Settings

    def values(self, items: Sequence[RewardInput], target: str, settings: Settings, model: object) -> list[float]:
        return [repeated_share(item.completion, settings.n) for item in items]


REWARDS.register("repetition")(RepetitionReward())
