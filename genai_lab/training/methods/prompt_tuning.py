"""Prompt tuning: virtual tokens before the prompt."""

from dataclasses import dataclass
from typing import Any

from genai_lab.settings import check_settings, setting
from genai_lab.training.method import PeftMethod, task_of
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture


@dataclass(frozen=True)
class Settings:
    num_virtual_tokens: int = setting(
        20, "Before every prompt.", 1, 500, label="Virtual tokens", renamed_from=("tokens",)
    )

    def __post_init__(self) -> None:
        check_settings(self)


class PromptTuning(PeftMethod):
    name = "prompt_tuning"
    title = "Prompt tuning"
    about = (
        "Embeddings of a few virtual tokens before every prompt are trained, and nothing else.\n"
        "The soft prompt is switched on like a prompt, without another model."
    )
    source = "Lester, Al-Rfou and Constant, 2021: The power of scale for parameter-efficient prompt tuning"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    rate = 2e-2
    large_rate = 1e-2
    settings = Settings
    mergeable = False

    def virtual_tokens(self, settings: Settings) -> int:
        return settings.num_virtual_tokens

    def config(self, module: Any, architecture: Architecture, settings: Settings, steps: int) -> Any:
        """The tokens begin as words drawn from the vocabulary (section 2.2 of the paper)."""
        from peft import PromptTuningConfig, PromptTuningInit

        return PromptTuningConfig(
            task_type=task_of(module, architecture),
            num_virtual_tokens=settings.num_virtual_tokens,
            prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
            num_transformer_submodules=1,
        )


METHODS.register("prompt_tuning")(PromptTuning())
