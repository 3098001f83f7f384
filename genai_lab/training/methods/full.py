"""Full fine-tuning: every weight."""

from typing import Any

from genai_lab.training.method import Method
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture


class Full(Method):
    name = "full"
    title = "Full fine-tuning"
    about = (
        "Every weight of the model is trained, and the result is a whole model.\n"
        "It learns most, needs most memory and forgets most."
    )
    source = "Howard and Ruder, 2018: Universal language model fine-tuning for text classification"
    rate = 3e-4
    large_rate = 2e-5
    trains_everything = True

    def apply(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        for weight in module.parameters():
            weight.requires_grad = True
        return module


METHODS.register("full")(Full())
