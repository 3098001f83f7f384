"""Selective: biases only (BitFit)."""

from collections.abc import Callable
from typing import Any

from genai_lab.training.method import NoSettings, SelectiveMethod
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture


class Biases(SelectiveMethod):
    name = "bitfit"
    title = "Biases only (BitFit)"
    about = (
        "Only the biases that the model has are trained.\n"
        "Models without biases, such as Llama and T5, have nothing to train here."
    )
    source = "Ben Zaken, Goldberg and Ravfogel, 2022: BitFit"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder")
    rate = 1e-3
    large_rate = 5e-4

    def selector(self, module: Any, settings: NoSettings) -> Callable[[str], bool]:
        return lambda name: name.endswith("bias")


METHODS.register("bitfit")(Biases())
