"""Selective: the norms of all layers."""

import re
from collections.abc import Callable
from typing import Any

from genai_lab.training.method import NoSettings, SelectiveMethod
from genai_lab.training.methods import METHODS

NORM = re.compile(r"(norm|ln_\w+|ln\d?|layernorm)\w*\.(weight|bias)$", re.IGNORECASE)


class Norms(SelectiveMethod):
    name = "norms"
    title = "Layer norms"
    about = "Only the scales (and shifts) of the layer norms are trained.\nOnly a few thousand parameters are trained."
    source = "Zhao et al., 2024: Tuning LayerNorm in attention"
    rate = 3e-3
    large_rate = 1e-3

    def selector(self, module: Any, settings: NoSettings) -> Callable[[str], bool]:
        return lambda name: bool(NORM.search(name))


METHODS.register("norms")(Norms())
