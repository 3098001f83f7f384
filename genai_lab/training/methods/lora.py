"""LoRA: a product of two thin matrices beside every linear layer."""

from dataclasses import dataclass
from typing import Any

from genai_lab.settings import check_settings, setting
from genai_lab.training.method import PeftMethod, task_of
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture


@dataclass(frozen=True)
class Settings:
    rank: int = setting(8, "Columns of the thin matrices.", 1, 512, renamed_from=("r",))
    alpha: float = setting(16.0, "The product is scaled by alpha / rank.", 0.1, 2048.0, renamed_from=("lora_alpha",))
    dropout: float = setting(
        0.0, "Of what the thin matrices read.", 0.0, 0.9, step=0.05, renamed_from=("lora_dropout",)
    )
    targets: str = setting(
        "all linear layers", "Which layers get them.", choices=("all linear layers", "queries and values")
    )

    def __post_init__(self) -> None:
        check_settings(self)


class Lora(PeftMethod):
    name = "lora"
    title = "LoRA"
    about = (
        "The model stays as it is; beside its linear layers, products of two thin matrices are trained.\n"
        "The result is a small adapter that can be merged."
    )
    source = "Hu et al., 2022: LoRA, low-rank adaptation of large language models, eq. 3"
    rate = 2e-3
    large_rate = 2e-4
    settings = Settings
    dora = False

    def config(self, module: Any, architecture: Architecture, settings: Settings, steps: int) -> Any:
        from peft import LoraConfig

        return LoraConfig(
            task_type=task_of(module, architecture),
            r=settings.rank,
            lora_alpha=settings.alpha,  # type: ignore[arg-type]
            lora_dropout=settings.dropout,
            target_modules="all-linear" if settings.targets == "all linear layers" else None,
            use_dora=self.dora,
        )


METHODS.register("lora")(Lora())
