"""Sequence classification: a class for the whole text, by a head on an encoder."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.training import Architecture, Training
from genai_lab.training.objectives import OBJECTIVES, Drawn, Head, Item, Text


@dataclass(frozen=True)
class Settings:
    pass


class Classification:
    name = "classification"
    title = "Sequence classification"
    about = "An encoder learns to name the class of a text; a new head is made where the classes are others."
    source = "Devlin et al., 2019: BERT, section 4.1"
    architectures: tuple[Architecture, ...] = ("encoder",)
    needs = "label"
    head: Head = "classify"
    settings = Settings

    def items(
        self,
        texts: Iterable[Text],
        tokenizer: Any,
        architecture: Architecture,
        training: Training,
        labels: Sequence[str],
    ) -> list[Item]:
        known = {label: place for place, label in enumerate(labels)}
        made = []
        for text in texts:
            if text.completion not in known or not text.prompt.strip():
                continue
            with clear_panics("The tokenizer"):
                whole = tokenizer(text.prompt, truncation=False, verbose=False)["input_ids"]
                ids = tokenizer(text.prompt, truncation=True, max_length=training.max_length)["input_ids"]
            made.append(Item(list(ids), [known[text.completion]], len(whole) > len(ids)))
        return made

    def draw(self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any) -> Drawn:
        return Drawn(item.ids, item.target)


OBJECTIVES.register("classification")(Classification())
