"""Turning logits into text: settings, filters, the batching scheduler and the token trace.

`Sampling` is what a user chooses, `Token` and `Completion` are what comes back. Importing this package does
not import torch; `scheduler` and `filters` do.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from genai_lab.errors import BadSetting
from genai_lab.settings import as_mapping, check_settings, read_settings, setting

# Parameters up to which float32 models on a CPU get a traced step, and up to which it reads packed weights.
TRACED_UP_TO, PACKED_UP_TO = 200_000_000, 30_000_000
# A chat ends by itself; this bounds one that does not.
CHAT_TOKENS = 512
FinishReason = Literal["end of text", "stop string", "length", "cancelled", "error", "content filter"]
# What ends for these reasons is no whole answer: it is neither scored nor shown to annotators.
NO_ANSWER = ("cancelled", "error", "content filter")


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Raises BadSetting when a value is outside its range."""

    max_new_tokens: int = setting(128, "Stop after this many new tokens.", 1, 4096, unit="tokens")
    temperature: float = setting(0.8, "Divides the logits: below 1 sharpens, above 1 flattens.", 0.01, 5.0, step=0.01)
    top_k: int = setting(0, "Keep only the k most probable tokens; 0 is off.", 0, 1000)
    top_p: float = setting(
        1.0, "Keep the smallest set of tokens whose probabilities sum to p; 1 is off.", 0.01, 1.0, step=0.01
    )
    min_p: float = setting(
        0.0, "Drop tokens less probable than this share of the best one; 0 is off.", 0.0, 1.0, step=0.01, more=True
    )
    typical_p: float = setting(
        1.0,
        "Keep tokens whose surprise is closest to the expected one, up to this mass; 1 is off.",
        0.01,
        1.0,
        step=0.01,
        more=True,
    )
    repetition_penalty: float = setting(
        1.0, "Makes tokens that have occurred less likely; 1 is off.", 0.5, 3.0, step=0.05, more=True
    )
    no_repeat_ngram_size: int = setting(
        0,
        "Never repeat a run of this many tokens; 0 is off.",
        0,
        20,
        unit="tokens",
        more=True,
        label="No-repeat n-gram",
        renamed_from=("no_repeat_ngram",),
    )
    num_beams: int = setting(
        1, "Beam search with this many beams; 1 is off.", 1, 16, more=True, label="Beams", renamed_from=("beams",)
    )
    num_return_sequences: int = setting(
        1,
        "How many completions to draw, with seeds counting up.",
        1,
        16,
        more=True,
        label="Completions",
        renamed_from=("num_completions", "n"),
    )
    greedy: bool = setting(
        False,
        "Always take the most probable token; temperature, top-k, top-p have no effect.",
        opposite_of=("do_sample",),
    )
    stop: tuple[str, ...] = setting(
        (), "End before any of these texts; literal, not patterns.", more=True, renamed_from=("stop_strings",)
    )
    seed: int | None = setting(None, "Same seed, same text; empty draws one.", 0, 2**31 - 1, more=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(s for s in self.stop if s))
        if len(self.stop) > 16 or any(len(s) > 200 for s in self.stop):
            raise BadSetting("stop", f"{len(self.stop)} texts", "at most 16 texts of at most 200 characters")
        check_settings(self)

    def seeded(self) -> "Sampling":
        """The same settings with a seed drawn where there was none."""
        return self if self.seed is not None else replace(self, seed=secrets.randbelow(2**31 - 1))

    def as_dict(self) -> dict[str, Any]:
        return as_mapping(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Sampling":
        """From present or older names; raises BadSetting for an unknown name or a value outside its range."""
        return read_settings(cls, values)


@dataclass(frozen=True)
class Alternative:
    """A token that could have come, with its probability at one stage (0 to 1)."""

    id: int
    text: str
    probability: float


@dataclass(frozen=True)
class Stage:
    """The most probable tokens after one filter, best first; `removed` counts the tokens that it took away.

    In columns, since a batch makes hundreds of alternatives a step, of which few are ever looked at.
    """

    filter: str
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    probabilities: tuple[float, ...]
    removed: int

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        return tuple(map(Alternative, self.ids, self.texts, self.probabilities))

    def as_dict(self) -> dict[str, Any]:
        return {
            "filter": self.filter,
            "alternatives": [asdict(one) for one in self.alternatives],
            "removed": self.removed,
        }


@dataclass(frozen=True)
class Token:
    """One generated token.

    `logprob` is the natural logarithm of the probability that the model itself gave (temperature 1, no filter);
    `probability` is the one that it was drawn with, after every filter. `stages` starts with "model" (the unfiltered
    distribution) and is empty where no trace was asked for. Endpoints may leave `id` and `logprob` None.
    """

    id: int | None
    text: str
    logprob: float | None = None
    probability: float | None = None
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class Delta:
    """What is new in one completion: `tokens` and the text that they finish (a character may need several tokens)."""

    completion: int
    text: str
    tokens: tuple[Token, ...] = ()


def why_empty(reason: str, tokens: int = 0, reasoning: int = 0) -> str:
    """In a sentence, why a completion that ended for `reason` after so many tokens has no text."""
    if reasoning:
        counted = f"{reasoning:,} token{'s' if reasoning != 1 else ''}"
        return f"All {counted} went into reasoning, which is no part of the answer; allow more new tokens."
    if reason == "stop string":
        return "The completion is empty: the model began with a stop string, before which the text ends."
    if reason == "cancelled":
        return "It was stopped before its first character."
    if reason == "content filter":
        return "The server's content filter held the answer back."
    if reason == "length":
        return "The completion is empty: all of its tokens are white space or special; allow more new tokens."
    if tokens:
        return "The completion is empty: the model wrote only white space or special tokens before it ended."
    return "The completion is empty: the model ended it at once. Try another prompt, mode or temperature."


@dataclass(frozen=True)
class Completion:
    """One finished completion. Times in seconds from the submission; seed = (settings' seed + index) modulo 2**31.

    `reasoning_tokens` counts what an endpoint's model wrote before its answer, which is not in `tokens`; `notes` are
    sentences on what a reader should know of this completion, such as a seed that the server does not take.
    """

    index: int
    text: str
    tokens: tuple[Token, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    seed: int
    seconds: float
    first_token_seconds: float | None
    reasoning_tokens: int = 0
    notes: tuple[str, ...] = ()

    @property
    def completion_tokens(self) -> int:
        return len(self.tokens)
