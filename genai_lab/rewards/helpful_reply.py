"""The truth about replies in the starters' world: whether a reply helps with its own request.

It is for lessons and tests, as what a reward only stands for: give it the weight 0, so that it is measured and not
learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.models.reward_model import plain
from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind
from genai_lab.settings import check_settings, setting

TRUTHS = ("helpful", "rude")


@dataclass(frozen=True)
class Settings:
    truth: str = setting("helpful", "What is told: how helpful it is, or whether it is rude.", choices=TRUTHS)

    def __post_init__(self) -> None:
        check_settings(self)


class HelpfulReply(RewardKind):
    name = "helpful_reply"
    title = "Helpful reply (the starters' world)"
    about = "1 for a reply that helps with its request, 0.5 for a curt one, 0 for any other, by the rules of the world."
    settings = Settings

    def values(self, items: Sequence[RewardInput], target: str, settings: Settings, model: object) -> list[float]:
        from genai_lab.starter.tasks.reply import helpfulness, is_rude

        if settings.truth == "rude":
            return [float(is_rude(item.completion)) for item in items]
        return [helpfulness(plain(item.prompt), item.completion) for item in items]


REWARDS.register("helpful_reply")(HelpfulReply())
