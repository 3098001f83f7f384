"""The score of completions: the weighted sum of what each part says, with every part kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import LabError
from genai_lab.models import Card, Options, Source
from genai_lab.models.inspect import inspect_folder
from genai_lab.rewards.base import RewardInput
from genai_lab.rewards.parts import RewardPart


@dataclass(frozen=True)
class Scores:
    """`total` (n,) is the score; `parts` (n, k) what each part says before its weight, in the order of `labels`."""

    total: NDArray[np.float64]
    parts: NDArray[np.float64]
    labels: tuple[str, ...]

    def of(self, label: str) -> NDArray[np.float64]:
        return self.parts[:, self.labels.index(label)]


class RewardScorer:
    """Parts of a score with their models loaded."""

    def __init__(self, parts: Sequence[RewardPart], models: Mapping[str, Any]) -> None:
        """`models` are the loaded ones by name."""
        self.parts, self._models = tuple(parts), models

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(part.label for part in self.parts)

    def score(self, items: Sequence[RewardInput]) -> Scores:
        """Raises LabError that names the part and the completion where a part is not a number."""
        columns = np.zeros((len(items), len(self.parts)))
        for index, part in enumerate(self.parts):
            if items:
                columns[:, index] = part.reward.values(items, part.target, part.settings, self._models.get(part.model))
            self._check_numbers(items, part, columns[:, index])
        weights = np.array([part.weight for part in self.parts])
        return Scores(columns @ weights, columns, self.labels)

    def _check_numbers(self, items: Sequence[RewardInput], part: RewardPart, values: NDArray[np.float64]) -> None:
        if part.learned and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            text = items[row].completion[:60]
            raise LabError(
                f"The reward {part.label} of the completion {text!r} is not a number; give the reward a model or "
                "settings that score every text, or leave it out."
            )


def load_scorer(parts: Sequence[RewardPart], folders: Mapping[str, Path], device: str) -> RewardScorer:
    """Loads the models of the parts from their folders, which are given by the model's name."""
    models: dict[str, Any] = {}
    for part in parts:
        if part.model and part.model not in models:
            models[part.model] = part.reward.load(card_of(folders[part.model], part.model), device)
    return RewardScorer(parts, models)


def card_of(folder: Path, name: str) -> Card:
    """The card of a model that lies in a folder."""
    return inspect_folder(folder, name, Source("local", str(folder)), Options())
