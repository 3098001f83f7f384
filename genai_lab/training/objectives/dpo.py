"""Direct preference optimisation: the model itself learns to find the preferred completion more likely."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import BadSetting
from genai_lab.settings import check_settings, setting
from genai_lab.training import IGNORED, Architecture, Training
from genai_lab.training.objectives import OBJECTIVES, Drawn, Head, Item, Text
from genai_lab.training.objectives.reward import Preferences, pairs, side

# Those of TRL that are a mean over pairs, so that a pair can be weighed.
LOSSES = (
    "sigmoid", "ipo", "hinge", "robust", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down",
    "discopop", "sigmoid_norm",
)  # fmt: skip
SMOOTHED = ("robust", "exo_pair")


@dataclass(frozen=True)
class Settings(Preferences):
    beta: float = setting(0.1, "How much it costs to move away from the base.", 0.0001, 100.0, step=0.05)
    loss: str = setting("sigmoid", "Of the difference between the two sides, by TRL's names.", choices=LOSSES)
    smoothing: float = setting(0.0, "Share of pairs taken to be wrong (robust, exo_pair).", 0.0, 0.49, step=0.01)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.loss == "exo_pair" and not self.smoothing:
            raise BadSetting("smoothing", self.smoothing, "above 0 for the loss exo_pair, such as 0.001")
        if self.smoothing and self.loss not in SMOOTHED:
            raise BadSetting(
                "smoothing", self.smoothing, f"0 for the loss {self.loss}; {' and '.join(SMOOTHED)} use it"
            )


class Dpo:
    name = "dpo"
    title = "Direct preference optimisation (DPO)"
    about = "The model learns to find the preferred completion of a pair more likely than before, and the other less."
    source = (
        "Rafailov et al., 2023: Direct preference optimization, your language model is secretly a reward model, eq. 7"
    )
    architectures: tuple[Architecture, ...] = ("decoder-only",)
    needs = "pairs"
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
        """Pairs of which both sides read the same after cutting, and those of weight 0, are left out."""
        return pairs(texts, tokenizer, training, side)

    def draw(self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any) -> Drawn:
        chosen, rejected = _drawn(item), _drawn(item.rejected or item)
        weight = item.weight if settings.use_weights else 1.0
        return Drawn(chosen.ids, chosen.labels, (), rejected, weight)


def _drawn(item: Item) -> Drawn:
    labels = [IGNORED] * (len(item.ids) - 1) + item.target + [IGNORED]
    return Drawn(item.ids + item.target, labels)


OBJECTIVES.register("dpo")(Dpo())
