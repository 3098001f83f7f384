"""Scores of reward models in the catalogue."""

from collections.abc import Sequence
from functools import lru_cache

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.models import Card
from genai_lab.models.rewards import RewardModel
from genai_lab.models.transformers import choose_device
from genai_lab.services import models


def score(lab: Lab, model: str, prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
    """The reward of each completion of its prompt, in order, without unit.

    Raises LabError for a model that is no reward model or not ready, or where the two are not equally many.
    """
    view = models.show(lab, model)
    if view.card.role != "reward":
        raise LabError(f"{model} is no reward model; choose one, or train one on preferences.")
    if view.status not in ("ready", "loaded"):
        raise LabError(f"{model} is {view.status}{f': {view.detail}' if view.detail else ''}".rstrip(".") + ".")
    return loaded(view.card, choose_device(lab.config.device)).scores(prompts, completions)


def rank(lab: Lab, model: str, prompt: str, completions: Sequence[str]) -> list[tuple[int, float]]:
    """(place in `completions`, reward), the best first; equal ones in the order given. Raises LabError as `score`."""
    found = score(lab, model, [prompt] * len(completions), completions)
    return sorted(enumerate(found), key=lambda one: (-one[1], one[0]))


@lru_cache(2)
def loaded(card: Card, device: str = "cpu") -> RewardModel:
    """Kept between calls; reward models live outside the memory budget."""
    return RewardModel(card, device)
