"""The length of the completion, in tokens or words."""

from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind
from genai_lab.settings import check_settings, setting


@dataclass(frozen=True)
class Settings:
    unit: str = setting("tokens", "What is counted.", choices=("tokens", "words"))
    goal: int | None = setting(None, "A length to keep to: then the reward is minus the distance from it.", 0, 100_000)

    def __post_init__(self) -> None:
        check_settings(self)


class LengthReward(RewardKind):
    name = "length"
    title = "Length"
    about = "How long the completion is; with a negative weight short ones are rewarded."
    settings = Settings

    def values(self, items: Sequence[RewardInput], target: str, settings: Settings, model: object) -> list[float]:
        counts = [item.tokens if settings.unit == "tokens" else len(item.completion.split()) for item in items]
        return [float(count if settings.goal is None else -abs(count - settings.goal)) for count in counts]


REWARDS.register("length")(LengthReward())
