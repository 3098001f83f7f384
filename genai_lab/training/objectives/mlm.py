"""Masked language modelling: hidden tokens are learned from both sides."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.settings import check_settings, setting
from genai_lab.training import IGNORED, Architecture, Training
from genai_lab.training.objectives import OBJECTIVES, Drawn, Head, Item, Text, blocks, encoded


@dataclass(frozen=True)
class Settings:
    rate: float = setting(0.15, "Share of the tokens that are to be found.", 0.01, 0.9, step=0.01)

    def __post_init__(self) -> None:
        check_settings(self)


class Masked:
    name = "mlm"
    title = "Masked language modelling (MLM)"
    about = "Continued pre-training of an encoder: hidden tokens are predicted from both sides."
    source = "Devlin et al., 2019: BERT, section 3.1 (80 % mask, 10 % another token, 10 % unchanged)"
    architectures: tuple[Architecture, ...] = ("encoder",)
    needs = "text"
    head: Head = "masked"
    settings = Settings

    def items(
        self,
        texts: Iterable[Text],
        tokenizer: Any,
        architecture: Architecture,
        training: Training,
        labels: Sequence[str],
    ) -> list[Item]:
        if tokenizer.mask_token_id is None:
            raise LabError(
                "The tokenizer has no mask token, which masked language modelling needs; choose another model."
            )
        around = encoded(tokenizer, "", special=True)
        made = blocks(texts, tokenizer, max(4, training.max_length - len(around)))
        half = len(around) // 2
        return [Item([*around[:half], *one.ids, *around[half:]], []) for one in made]

    def draw(self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any) -> Drawn:
        special = set(tokenizer.all_special_ids)
        places = [place for place, token in enumerate(item.ids) if token not in special]
        count = max(1, round(settings.rate * len(places))) if places else 0
        ids, labels = list(item.ids), [IGNORED] * len(item.ids)
        hidden = sorted(rng.sample(places, count))
        for place in hidden:
            labels[place] = item.ids[place]
            kind = rng.random()
            if kind < 0.8:
                ids[place] = tokenizer.mask_token_id
            elif kind < 0.9:
                ids[place] = rng.randrange(len(tokenizer))
        return Drawn(ids, labels, tuple(hidden))


OBJECTIVES.register("mlm")(Masked())
