"""Selective: biases only (BitFit)."""

from collections.abc import Callable
from typing import Any

from genai_lab.training import Architecture
from genai_lab.training.methods import METHODS, NoSettings, Selective


class Biases(Selective):
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
    settings = NoSettings

    def wanted(self, module: Any, settings: NoSettings) -> Callable[[str], bool]:
        return lambda name: name.endswith("bias")


METHODS.register("bitfit")(Biases())
