"""What every kind of reward is: completions in, one number each out, without a weight.

A kind that asks a model says which role the model has; the model arrives loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.models import Card
from genai_lab.models.scorer import PromptLike, Scorer
from genai_lab.registry import Registry


@dataclass(frozen=True)
class RewardInput:
    """A completion to be rewarded. `tokens` counts those of the completion, its end among them; `ended` says that it
    was not cut by length; `reference` is the row's answer, empty where there is none.
    """

    prompt: PromptLike
    completion: str
    reference: str = ""
    tokens: int = 0
    ended: bool = True


@dataclass(frozen=True)
class NoSettings:
    """A kind without settings."""


class RewardKind:
    """The base of all kinds. `target` says what stands behind the colon of a part: "model", "metric", or "" nothing."""

    name: str
    title: str
    about: str
    unit: str = ""
    target: str = ""
    settings: type = NoSettings
    needs_reference: bool = False

    def check(self, target: str, settings: Any) -> None:
        """Raises LabError for a target or settings that cannot work; loads nothing."""

    def check_model(self, card: Card, settings: Any) -> None:
        """Raises LabError where the model is not one that this kind asks."""

    def load(self, card: Card, device: str) -> Scorer | None:
        """The model, ready to be asked; None for a kind that asks none."""
        return None

    def values(self, items: Sequence[RewardInput], target: str, settings: Any, model: Any) -> list[float]:
        """What each completion earns, in order; NaN where that cannot be said."""
        raise NotImplementedError


REWARDS: Registry[RewardKind] = Registry("reward", "genai_lab.rewards", marker="REWARDS.register")


def refuse_model(card: Card, kind: str, advice: str) -> LabError:
    """The error for a model that is not what the kind of reward asks."""
    return LabError(f"{card.name} is {card.family} with the role {card.role}, which {kind} cannot ask; {advice}.")
