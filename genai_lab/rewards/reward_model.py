"""A reward model's score of the completion given its prompt."""

from collections.abc import Sequence
from typing import Any

from genai_lab.models import Card
from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind, refuse_model


class LearnedReward(RewardKind):
    name = "reward_model"
    title = "Reward model"
    about = "What a reward model that was trained on preferences says of the completion given its prompt."
    target = "model"

    def check_model(self, card: Card, settings: Any) -> None:
        if card.role != "reward":
            raise refuse_model(card, "a reward model", "choose a reward model, or train one on preferences")

    def load(self, card: Card, device: str) -> Any:
        from genai_lab.models.reward_model import RewardModel

        return RewardModel(card, device)

    def values(self, items: Sequence[RewardInput], target: str, settings: Any, model: Any) -> list[float]:
        return list(model.rewards([item.prompt for item in items], [item.completion for item in items]))


REWARDS.register("reward_model")(LearnedReward())
