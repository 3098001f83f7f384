"""What a run learns from text: one objective a file, as rows of prompt and completion, pairs of them, or plain text.

An objective turns texts into `Item`s with a tokenizer, and an item into what the model reads at one draw: masks and
spans are drawn anew each time, from a generator that depends on the seed and the place alone, so that a run that goes
on sees what an unbroken one would.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.registry import Registry
from genai_lab.training import IGNORED, Architecture, Training
from genai_lab.training.plan import RENAMED_OBJECTIVES

Head = Literal["lm", "masked", "classify", "reward"]


@dataclass(frozen=True)
class Text:
    """What a row says: in rows the filled `prompt` and its `completion`; in blocks `prompt` alone is read.

    `messages` is the prompt as a chat, in which it is read then; with `whole` they are a conversation that ends with
    an answer, and all of its answers are learned. In pairs `completion` is the chosen one, `rejected` the other;
    `weight` says how much the pair counts, `margin` how far apart the two are.
    """

    prompt: str
    completion: str = ""
    messages: tuple[dict[str, str], ...] = ()
    row: int = 0
    rejected: str = ""
    weight: float = 1.0
    margin: float = 0.0
    whole: bool = False


@dataclass(frozen=True)
class Item:
    """Tokens before they are drawn: `ids` of the prompt or block, `target` of the completion (or one class).

    `cut` says that tokens were left out to keep to the length. A pair has a second Item, `rejected`, its own weight and
    its margin. `unlearned` are the places in `target` that are read and not learned, as (start, end).
    """

    ids: list[int]
    target: list[int]
    cut: bool = False
    rejected: "Item | None" = None
    weight: float = 1.0
    margin: float = 0.0
    unlearned: tuple[tuple[int, int], ...] = ()

    @property
    def labels(self) -> list[int]:
        """The target, IGNORED where nothing is learned."""
        made = list(self.target)
        for start, end in self.unlearned:
            made[start:end] = [IGNORED] * (end - start)
        return made

    def last_answer(self) -> tuple[list[int], list[int]]:
        """(all before the last answer, the last answer): what is given, and what is to be written."""
        labels = self.labels
        end = next((place for place in range(len(labels), 0, -1) if labels[place - 1] != IGNORED), 0)
        start = next((place for place in range(end, 0, -1) if labels[place - 1] == IGNORED), 0)
        return self.ids + self.target[:start], self.target[start:end]


@dataclass(frozen=True)
class Drawn:
    """What the model reads: `ids` (T,), `labels` (T,) aligned with the position that predicts them, or (S,) of the
    decoder; IGNORED where nothing is learned. `changed` marks the ids that the objective has put there. Of a pair it is
    the chosen side, and `rejected` the other; `reference` are both sides' log-probabilities before the run, in nats.
    """

    ids: list[int]
    labels: list[int]
    changed: tuple[int, ...] = ()
    rejected: "Drawn | None" = None
    weight: float = 1.0
    margin: float = 0.0
    reference: tuple[float, float] | None = None


class Objective(Protocol):
    """`needs`: "reference" (rows with templates), "label" (rows), "pairs" (preferences) or "text" (blocks)."""

    name: str
    title: str
    about: str
    source: str
    architectures: tuple[Architecture, ...]
    needs: str
    head: Head

    @property
    def settings(self) -> type: ...

    def items(
        self,
        texts: Iterable[Text],
        tokenizer: Any,
        architecture: Architecture,
        training: Training,
        labels: Sequence[str],
    ) -> list[Item]:
        """Rows of which nothing can be learned are left out."""

    def draw(
        self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any
    ) -> Drawn: ...


OBJECTIVES: Registry[Objective] = Registry("objective", __name__, RENAMED_OBJECTIVES)


def end_of(tokenizer: Any) -> list[int]:
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]


@clear_panics("The tokenizer")
def encoded(tokenizer: Any, text: str, special: bool = False) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special, truncation=False, verbose=False)["input_ids"])


def blocks(texts: Iterable[Text], tokenizer: Any, length: int) -> list[Item]:
    """All texts behind one another, an end token after each, cut into blocks of `length`; a short rest stays."""
    made: list[Item] = []
    kept: list[int] = []
    end = end_of(tokenizer)
    for text in texts:
        kept += [*encoded(tokenizer, text.prompt), *end]
        while len(kept) >= length:
            made.append(Item(kept[:length], []))
            kept = kept[length:]
    if len(kept) > 1 and (not made or len(kept) >= length // 4):
        made.append(Item(kept, []))
    return made
