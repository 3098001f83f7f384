"""P-tuning: virtual tokens that a small network writes."""

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
    hidden: int = setting(128, "Width of the network that writes them.", 4, 8192)

    def __post_init__(self) -> None:
        check_settings(self)


class PTuning(PeftMethod):
    name = "p_tuning"
    title = "P-tuning"
    about = "A small network is trained that writes the embeddings of the virtual tokens.\nOnly what it writes is kept."
    source = "Liu et al., 2021: GPT understands, too"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    rate = 5e-3
    large_rate = 1e-3
    settings = Settings
    mergeable = False

    def virtual_tokens(self, settings: Settings) -> int:
        return settings.num_virtual_tokens

    def config(self, module: Any, architecture: Architecture, settings: Settings, steps: int) -> Any:
        from peft import PromptEncoderConfig

        return PromptEncoderConfig(
            task_type=task_of(module, architecture),
            num_virtual_tokens=settings.num_virtual_tokens,
            encoder_hidden_size=settings.hidden,
            num_transformer_submodules=1,
        )


METHODS.register("p_tuning")(PTuning())
