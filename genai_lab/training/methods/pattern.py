"""Selective: the weights whose names hold a text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.settings import check_settings, setting
from genai_lab.training.method import SelectiveMethod
from genai_lab.training.methods import METHODS


@dataclass(frozen=True)
class Settings:
    names: tuple[str, ...] = setting(
        ("q_proj", "v_proj", ".q.", ".v.", "query", "value"),
        "Texts, one per line; a weight is trained if its name contains one.",
    )

    def __post_init__(self) -> None:
        if isinstance(self.names, str):
            object.__setattr__(self, "names", (self.names,))
        check_settings(self)
        if not any(self.names):
            raise LabError("No name is given; write a part of the names of the weights to be trained, one a line.")


class Pattern(SelectiveMethod):
    name = "pattern"
    title = "Weights by name"
    about = (
        "Only weights whose names contain one of the given texts are trained.\n"
        "By default the queries and values of attention."
    )
    source = "Lee et al., 2023: Surgical fine-tuning improves adaptation to distribution shifts"
    rate = 5e-4
    large_rate = 5e-5
    settings = Settings

    def selector(self, module: Any, settings: Settings) -> Callable[[str], bool]:
        names = [name for name, _ in module.named_parameters()]
        texts = tuple(text for text in settings.names if text)
        if not any(text in name for text in texts for name in names):
            some = ", ".join(names[1:4])
            raise LabError(f"No weight's name holds {' or '.join(map(repr, texts))}; names are such as {some}.")
        return lambda name: any(text in name for text in texts)


METHODS.register("pattern")(Pattern())
