"""Causal language modelling: every token is learned from those before it."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.training import IGNORED, Architecture, Training
from genai_lab.training.objectives import OBJECTIVES, Drawn, Head, Item, Text, blocks


@dataclass(frozen=True)
class Settings:
    pass


class Causal:
    name = "clm"
    title = "Causal language modelling (CLM)"
    about = "Continued pre-training on plain text: every token is predicted from those before it, in full blocks."
    source = "Radford et al., 2018: Improving language understanding by generative pre-training; eq. 1"
    architectures: tuple[Architecture, ...] = ("decoder-only",)
    needs = "text"
    head: Head = "lm"
    settings = Settings

    def items(
        self,
        texts: Iterable[Text],
        tokenizer: Any,
        architecture: Architecture,
        training: Training,
        labels: Sequence[str],
    ) -> list[Item]:
        return blocks(texts, tokenizer, training.max_length)

    def draw(self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any) -> Drawn:
        return Drawn(item.ids, [*item.ids[1:], IGNORED])


OBJECTIVES.register("clm")(Causal())
