"""The score that a reward model gives each completion of its prompt: the mean over rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Rows


@dataclass(frozen=True)
class Settings:
    model: str = field(
        default="", metadata={"help": "A reward model of the catalogue, which reads the row's input.", "role": "reward"}
    )


class Reward:
    name = "reward"
    title = "Reward"
    about = "A reward model's score of each completion; only differences on the same prompts mean something."
    citation = "Ouyang et al., 2022: Training language models to follow instructions with human feedback"
    needs = "model"
    reads = "pairs"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (Figure("reward", "mean reward", low=None, high=None),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        if model is None:
            raise LabError(f"Reward needs the model {settings.model!r}; choose a reward model of the catalogue.")
        rewards = np.array(model.scores(predictions), dtype=float)
        return Rows({"reward": Sample(rewards)}, f"model:{settings.model}|hash:{model.hash[:12]}")


METRICS.register(Reward.name)(Reward())
