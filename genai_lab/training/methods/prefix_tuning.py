"""Prefix tuning: learned keys and values before every layer's own."""

from dataclasses import dataclass
from typing import Any

from genai_lab.settings import check_settings, setting
from genai_lab.training import Architecture
from genai_lab.training.methods import METHODS, Peft, task_of


@dataclass(frozen=True)
class Settings:
    tokens: int = setting(20, "Virtual tokens in every layer.", 1, 500)

    def __post_init__(self) -> None:
        check_settings(self)


class PrefixTuning(Peft):
    name = "prefix_tuning"
    title = "Prefix tuning"
    about = (
        "Keys and values of a few virtual tokens are trained in every layer of the decoder.\n"
        "More of a grip than one soft prompt at the bottom."
    )
    source = "Li and Liang, 2021: Prefix-tuning, optimizing continuous prompts for generation"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    rate = 1e-2
    large_rate = 5e-3
    settings = Settings

    def config(self, module: Any, architecture: Architecture, settings: Settings, steps: int) -> Any:
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(task_type=task_of(module, architecture), num_virtual_tokens=settings.tokens)


METHODS.register("prefix_tuning")(PrefixTuning())
