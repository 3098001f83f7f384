"""The contract of a model that scores texts instead of writing them, whatever its role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import ModelError
from genai_lab.models.card import Card

Vectors = NDArray[np.float32]
PromptLike = str | Sequence[Mapping[str, Any]]  # a prompt, or the messages of one


@dataclass(frozen=True)
class LogProbability:
    """The sum over the text's tokens, in nats, and how many tokens it covers."""

    total: float
    tokens: int


class Scorer:
    """A loaded model that scores texts. `hash` says which it is: the content hash, or the name where there is none.

    What a model cannot do is refused in one sentence by the methods here.
    """

    def __init__(self, card: Card) -> None:
        self.card, self.hash = card, card.content_hash or card.name

    @property
    def reads_input(self) -> bool:
        """Whether scores are of a text given an input."""
        return False

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        """P(label) of each text, 0 to 1; without a label the one whose name says that something is wrong."""
        raise ModelError(f"{self.card.name} is not a classifier; choose one, such as starter-toxicity.")

    def label_values(self, texts: Sequence[str], label: str = "", form: str = "log-odds") -> list[float]:
        """Of each text the label's log-odds in nats, its logit or its probability, as `form` says."""
        raise ModelError(f"{self.card.name} is not a classifier; choose one, such as starter-toxicity.")

    def log_probabilities(self, texts: Sequence[str], inputs: Sequence[str] = ()) -> list[LogProbability]:
        """Of each text alone, or given its input where the model reads one."""
        raise ModelError(f"{self.card.name} gives no log-probabilities of a text; choose a model that writes text.")

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> list[float]:
        """The reward of each completion of its prompt, in order, without unit."""
        raise ModelError(f"{self.card.name} is not a reward model; choose one, or train one on preferences.")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector of each text in order, (n, d)."""
        raise ModelError(f"{self.card.name} gives no vectors of texts; choose an encoder, such as MiniLM.")

    @property
    def vector_signature(self) -> str:
        """What decides a vector beside the weights, in words."""
        return ""

    def close(self) -> None:
        """Frees the memory."""
