"""Selective: the last layers of every stack."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.settings import check_settings, setting
from genai_lab.training.method import SelectiveMethod, layers_of
from genai_lab.training.methods import METHODS


@dataclass(frozen=True)
class Settings:
    layers: int = setting(1, "Of the encoder and of the decoder, counted from the end.", 1, 200)

    def __post_init__(self) -> None:
        check_settings(self)


class LastLayers(SelectiveMethod):
    name = "last_layers"
    title = "Last layers"
    about = "Only the last layers are trained, with the norm behind them.\nWhat the first layers read stays as it was."
    source = "Lee, Tang and Lin, 2019: What would Elsa do? Freezing layers during transformer fine-tuning"
    rate = 5e-4
    large_rate = 5e-5
    settings = Settings

    def selector(self, module: Any, settings: Settings) -> Callable[[str], bool]:
        stacks: dict[str, list[str]] = {}
        for name in layers_of(module):
            stacks.setdefault(name.rsplit(".", 1)[0], []).append(name)
        if not stacks:
            raise LabError("The layers of this model are not numbered in its weights; choose another method.")
        prefixes = tuple(f"{name}." for names in stacks.values() for name in names[-settings.layers :])
        norms = tuple(f"{stack.rsplit('.', 1)[0]}.{end}" for stack in stacks for end in ("norm.", "final_layer_norm."))
        return lambda name: name.startswith((*prefixes, *norms))


METHODS.register("last_layers")(LastLayers())
