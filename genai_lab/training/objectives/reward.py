"""Reward modelling: a score for a completion given its prompt, learned from which of two was preferred."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.models.reward_model import encode_prompt_and_completion, encode_text_pair
from genai_lab.models.scorer import PromptLike
from genai_lab.settings import check_settings, setting
from genai_lab.training import IGNORED, Architecture, Training
from genai_lab.training.objectives import OBJECTIVES, Drawn, Head, Item, Text

VOTES = ("keep", "majority")


@dataclass(frozen=True)
class Preferences:
    """What all objectives on pairs ask: which votes are read, and whether their weights count."""

    votes: str = setting("keep", "Several votes on one pair: each counts, or their majority.", choices=VOTES)
    use_weights: bool = setting(True, "Pairs count by the column weight, where there is one.")
    share: float = setting(1.0, "Share of the training prompts that is used.", 0.001, 1.0, step=0.05)
    left_out: str = setting("", "An annotator whose votes are not learned.")
    flipped: str = setting("", "An annotator whose votes are learned the other way round.")


@dataclass(frozen=True)
class Settings(Preferences):
    centring: float = setting(0.01, "Pulls the scores of a pair towards 0 in the mean.", 0.0, 10.0, step=0.01)
    dropout: float | None = setting(
        None, "Share of the activations left out while learning. Empty: the base's own.", 0.0, 0.9, step=0.05
    )
    use_margin: bool = setting(False, "The chosen score is to lead by the column margin.")

    def __post_init__(self) -> None:
        check_settings(self)


class Reward:
    name = "reward"
    title = "Reward model"
    about = "The model learns to score completions: the preferred one of a pair is to get the higher score."
    source = "Ouyang et al., 2022: Training language models to follow instructions with human feedback, eq. 1"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder")
    needs = "pairs"
    head: Head = "reward"
    settings = Settings
    # Their adapters cannot be merged, and a reward model is one whole folder.
    without = ("prompt_tuning", "p_tuning", "prefix_tuning", "houlsby", "qlora")

    def items(
        self,
        texts: Iterable[Text],
        tokenizer: Any,
        architecture: Architecture,
        training: Training,
        labels: Sequence[str],
    ) -> list[Item]:
        """Pairs of which both sides read the same after cutting, and those of weight 0, are left out."""
        make = _whole if architecture == "encoder" else side
        return pairs(texts, tokenizer, training, make)

    def draw(self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any) -> Drawn:
        ids, other = (one.ids + one.target for one in (item, item.rejected or item))
        weight = item.weight if settings.use_weights else 1.0
        margin = item.margin if settings.use_margin else 0.0
        return Drawn(ids, [IGNORED] * len(ids), (), Drawn(other, [IGNORED] * len(other)), weight, margin)


def pairs(texts: Iterable[Text], tokenizer: Any, training: Training, make: Any) -> list[Item]:
    """An item for each pair, its sides made by `make`(tokenizer, prompt, completion, length)."""
    made = []
    for text in texts:
        if text.weight <= 0 or not text.completion.strip() or not text.rejected.strip():
            continue
        asked = text.messages or text.prompt
        chosen, rejected = (
            make(tokenizer, asked, one, training.max_length) for one in (text.completion, text.rejected)
        )
        if (chosen.ids, chosen.target) != (rejected.ids, rejected.target):
            cut = chosen.cut or rejected.cut
            made.append(Item(chosen.ids, chosen.target, cut, rejected, text.weight, text.margin))
    return made


def side(tokenizer: Any, prompt: PromptLike, completion: str, length: int) -> Item:
    """Prompt and completion as a decoder reads them."""
    return Item(*encode_prompt_and_completion(tokenizer, prompt, completion, length))


def _whole(tokenizer: Any, prompt: str, completion: str, length: int) -> Item:
    ids, cut = encode_text_pair(tokenizer, prompt, completion, length)
    return Item(ids, [], cut)


OBJECTIVES.register("reward")(Reward())
