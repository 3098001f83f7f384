"""What passes from a dataset's rows to a model: texts, encoded examples, and the features of one row in a batch.

Rows become texts, an objective encodes texts once, and turns an encoded example into features each time it is read.
An objective with needs of its own defines dataclasses of its own; those here are shared by several.
"""

import json
from dataclasses import dataclass
from typing import Literal

from genai_lab.models.scorer import PromptLike

IGNORED = -100
TokenKind = Literal["read", "trained", "masked", "corrupted", "padded"]
MarkedTokens = tuple[tuple[str, TokenKind], ...]


@dataclass(frozen=True)
class TextExample:
    """A prompt and its completion; running text is a `prompt` alone. `row` is the number of its row, from 0.

    `messages` is the prompt as a chat, and is then read in its place; with `full_conversation` they end with an answer,
    and all of their answers are learned.
    """

    prompt: str
    completion: str = ""
    messages: tuple[dict[str, str], ...] = ()
    row: int = 0
    full_conversation: bool = False


@dataclass(frozen=True)
class TextPair:
    """Two completions of one prompt; `weight` says how much the pair counts, `margin` how far apart the two are."""

    prompt: str
    chosen: str
    rejected: str
    messages: tuple[dict[str, str], ...] = ()
    row: int = 0
    weight: float = 1.0
    margin: float = 0.0


@dataclass(frozen=True)
class EncodedExample:
    """Tokens: `ids` of the prompt or block, `target` of the completion (or one class).

    `cut` says that tokens were left out to keep to the length. `unlearned` are the ranges of `target` that are read
    and not learned, as (start, end).
    """

    ids: list[int]
    target: list[int]
    cut: bool = False
    unlearned: tuple[tuple[int, int], ...] = ()

    @property
    def labels(self) -> list[int]:
        """The target, IGNORED where nothing is learned."""
        labels = list(self.target)
        for start, end in self.unlearned:
            labels[start:end] = [IGNORED] * (end - start)
        return labels

    def last_answer(self) -> tuple[list[int], list[int]]:
        """(all tokens before the last answer, the last answer)."""
        labels = self.labels
        end = next((index for index in range(len(labels), 0, -1) if labels[index - 1] != IGNORED), 0)
        start = next((index for index in range(end, 0, -1) if labels[index - 1] == IGNORED), 0)
        return self.ids + self.target[:start], self.target[start:end]

    def length(self) -> int:
        return len(self.ids) + len(self.target)


@dataclass(frozen=True)
class EncodedPair:
    chosen: EncodedExample
    rejected: EncodedExample
    weight: float = 1.0
    margin: float = 0.0

    @property
    def cut(self) -> bool:
        return self.chosen.cut or self.rejected.cut


@dataclass(frozen=True)
class PromptExample:
    """A prompt to be completed: its `ids`, and what rewards read: the prompt as text or as messages in JSON, and the
    row's answer.
    """

    ids: list[int]
    prompt: str
    reference: str
    chat: bool
    row: int
    cut: bool = False

    @property
    def asked(self) -> PromptLike:
        """The prompt as a reward model takes it."""
        messages: PromptLike = json.loads(self.prompt) if self.chat else self.prompt
        return messages


@dataclass(frozen=True)
class TokenFeatures:
    """What the model reads: `ids` (T,), `labels` (T,) aligned with the position that predicts them, or (S,) of the
    decoder; IGNORED where nothing is learned. `changed` are the positions of ids that the objective has put there.
    """

    ids: list[int]
    labels: list[int]
    changed: tuple[int, ...] = ()


@dataclass(frozen=True)
class PairFeatures:
    """Both sides of a pair; `reference` are their log-probabilities under the reference model, in nats."""

    chosen: TokenFeatures
    rejected: TokenFeatures
    weight: float = 1.0
    margin: float = 0.0
    reference: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ShownRow:
    """One row of a batch for a person: the `tokens` that are read and the `target` that an encoder-decoder writes (of
    a pair: the chosen and the rejected side); `label` is what is to be learned, decoded.
    """

    tokens: MarkedTokens
    target: MarkedTokens
    label: str


@dataclass(frozen=True)
class ValidationSample:
    """What a model says on a validation example while it learns."""

    prompt: str
    reference: str
    text: str
