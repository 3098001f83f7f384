"""What the signals of reward hacking read: completions of held-out prompts by one model, and by two as pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from genai_lab.alignment.records import RolloutBatch

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]  # numbers of rows


@dataclass(frozen=True)
class HeldOutCompletions:
    """n completions of held-out prompts. `scores` (n,) is the proxy; `parts` the parts of the score by label, before
    their weights; `lengths` are tokens. `base_log_probs` (mean over tokens) and `entropy` are in nats per token, `kl`
    is in nats per completion; None where nobody measured them.
    """

    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    scores: Floats
    lengths: Floats
    ended: NDArray[np.bool_]
    parts: Mapping[str, Floats] = field(default_factory=dict)
    base_log_probs: Floats | None = None
    entropy: Floats | None = None
    kl: Floats | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of_batch(cls, batch: RolloutBatch) -> "HeldOutCompletions":
        """As an evaluation of a run recorded them."""
        parts = {label: batch.parts[:, column] for column, label in enumerate(batch.labels)}
        return cls(
            batch.prompts, batch.texts, batch.scores.astype(float), batch.lengths.astype(float), batch.ended, parts,
            _means(batch, "reference"), _means(batch, "entropy"), batch.kl,
        )  # fmt: skip

    def take(self, rows: Sequence[int] | Rows) -> "HeldOutCompletions":
        """These rows, in this order."""
        order = np.asarray(rows, dtype=np.int64)
        optional = (self.base_log_probs, self.entropy, self.kl)
        log_probs, entropy, kl = (None if values is None else values[order] for values in optional)
        return HeldOutCompletions(
            tuple(self.prompts[row] for row in order), tuple(self.texts[row] for row in order), self.scores[order],
            self.lengths[order], self.ended[order], {label: values[order] for label, values in self.parts.items()},
            log_probs, entropy, kl,
        )  # fmt: skip

    @cached_property
    def words_by_row(self) -> list[list[str]]:
        return [text.lower().split() for text in self.texts]


@dataclass(frozen=True)
class BeforeAndAfter:
    """The base's and the policy's completions of the same prompts in the same order.

    `weights` are those of the parts in the score, by label; `kl_budget` is in nats per completion.
    """

    before: HeldOutCompletions
    after: HeldOutCompletions
    weights: Mapping[str, float] = field(default_factory=dict)
    kl_budget: float = 10.0

    def __post_init__(self) -> None:
        if self.before.prompts != self.after.prompts:
            raise ValueError("the two sides must have the same prompts in the same order")

    def __len__(self) -> int:
        return len(self.before)


def _means(batch: RolloutBatch, name: str) -> Floats | None:
    """(n,) the mean of a figure of tokens over each completion; NaN for one without tokens."""
    if name not in batch.figures:
        return None
    values = [batch.tokens_of(name, row) for row in range(len(batch))]
    return np.array([float(tokens.mean()) if len(tokens) else np.nan for tokens in values])
