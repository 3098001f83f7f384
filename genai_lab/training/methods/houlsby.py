"""Bottleneck adapters: two small layers behind attention and feed-forward blocks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.settings import check_settings, setting
from genai_lab.training.method import Artefact, Method, task_of
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture


@dataclass(frozen=True)
class Settings:
    width: int = setting(32, "Units between the two layers.", 1, 4096)
    activation: str = setting("gelu", "Between the two layers.", choices=("gelu", "relu"))

    def __post_init__(self) -> None:
        check_settings(self)


class BottleneckAdapters(Method):
    name = "houlsby"
    title = "Bottleneck adapters"
    about = (
        "Two small layers with a non-linearity between them are put behind attention and behind the feed-forward "
        "block of each layer.\n"
        "The first adapters; they cannot be merged."
    )
    source = "Houlsby et al., 2019: Parameter-efficient transfer learning for NLP, section 2"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    artefact: Artefact = "adapter"
    rate = 2e-3
    large_rate = 3e-4
    settings = Settings
    peft_format = False

    def apply(self, module: Any, architecture: Architecture, settings: Settings, steps: int) -> Any:
        from genai_lab.models import bottleneck

        for weight in module.parameters():
            weight.requires_grad = False
        targets = bottleneck.targets_of(module)
        bottleneck.insert(module, settings.width, settings.activation, targets)
        module.bottleneck_config = {
            "peft_type": "HOULSBY",
            "task_type": task_of(module, architecture),
            "width": settings.width,
            "activation": settings.activation,
            "targets": list(targets),
        }
        return module

    def export(self, module: Any, folder: Path) -> None:
        from genai_lab.models import bottleneck

        bottleneck.save(module, folder, module.bottleneck_config)


METHODS.register("houlsby")(BottleneckAdapters())
