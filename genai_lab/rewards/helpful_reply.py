"""The truth about replies in the starters' world: whether a reply helps with its own request.

It is for lessons and tests, as what a reward only stands for: give it the weight 0, so that it is measured and not
learned.
"""

from collections.abc import Sequence

from genai_lab.models.reward_model import plain
from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind


class HelpfulReply(RewardKind):
    name = "helpful_reply"
    title = "Helpful reply (the starters' world)"
    about = "1 for a reply that helps with its request, 0.5 for a curt one, 0 for any other, by the rules of the world."

    def values(self, items: Sequence[RewardInput], target: str, settings: object, model: object) -> list[float]:
        from genai_lab.starter.tasks.reply import helpfulness

        return [helpfulness(plain(item.prompt), item.completion) for item in items]


REWARDS.register("helpful_reply")(HelpfulReply())
