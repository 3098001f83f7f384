"""What a classifier says of the completion alone: the log-odds, the logit or the probability of a label.

Log-odds and logits do not flatten where the classifier is sure, so that there is always something left to learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.models import Card
from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind, refuse_model
from genai_lab.settings import check_settings, setting

FORMS = ("log-odds", "logit", "probability")


@dataclass(frozen=True)
class Settings:
    label: str = setting(
        "", "The label that is rewarded. Empty: the opposite of the one whose name says that something is wrong."
    )
    form: str = setting("log-odds", "In nats: log p / (1 - p); the label's output; or p.", choices=FORMS)

    def __post_init__(self) -> None:
        check_settings(self)


class ClassifierReward(RewardKind):
    name = "classifier"
    title = "Classifier"
    about = "How sure a classifier is that the completion has a label, such as that it is not toxic."
    unit = "nats"
    target = "model"
    settings = Settings

    def check_model(self, card: Card, settings: Settings) -> None:
        if card.family != "classifier" or card.role == "reward":
            raise refuse_model(card, "a classifier", "choose a classifier, such as starter-toxicity")

    def load(self, card: Card, device: str) -> Any:
        from genai_lab.models.text_scorer import TextScorer

        scorer = TextScorer(card)
        scorer.to(device)
        return scorer

    def values(self, items: Sequence[RewardInput], target: str, settings: Settings, model: Any) -> list[float]:
        sign = 1 if settings.label else -1  # without a label the wrong one is found, whose opposite is rewarded
        values = model.label_values([item.completion for item in items], settings.label, settings.form)
        if not settings.label and settings.form == "probability":
            return [1 - value for value in values]
        return [sign * value for value in values]


REWARDS.register("classifier")(ClassifierReward())
