"""Prefix tuning: learned keys and values before every layer's own."""

from dataclasses import dataclass
from typing import Any

from genai_lab.settings import check_settings, setting
from genai_lab.training.method import PeftMethod, task_of
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture


@dataclass(frozen=True)
class Settings:
    num_virtual_tokens: int = setting(20, "In every layer.", 1, 500, label="Virtual tokens", renamed_from=("tokens",))

    def __post_init__(self) -> None:
        check_settings(self)


class PrefixTuning(PeftMethod):
    name = "prefix_tuning"
    title = "Prefix tuning"
    about = (
        "Keys and values of a few virtual tokens are trained in every layer of the decoder.\n"
        "A stronger influence than a soft prompt at the input alone."
    )
    source = "Li and Liang, 2021: Prefix-tuning, optimizing continuous prompts for generation"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    rate = 1e-2
    large_rate = 5e-3
    settings = Settings
    mergeable = False

    def virtual_tokens(self, settings: Settings) -> int:
        return settings.num_virtual_tokens

    def config(self, module: Any, architecture: Architecture, settings: Settings, steps: int) -> Any:
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(
            task_type=task_of(module, architecture), num_virtual_tokens=settings.num_virtual_tokens
        )


METHODS.register("prefix_tuning")(PrefixTuning())
