"""Whether a completion came to its end by itself."""

from collections.abc import Sequence

from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind


class EndedReward(RewardKind):
    name = "ended"
    title = "End"
    about = "1 where the completion ends by itself, 0 where it was cut by length."

    def values(self, items: Sequence[RewardInput], target: str, settings: object, model: object) -> list[float]:
        return [float(item.ended) for item in items]


REWARDS.register("ended")(EndedReward())
