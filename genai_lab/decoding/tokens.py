"""What comes back: tokens with the distribution that they were drawn from, what is new in a stream, completions."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

FinishReason = Literal["end of text", "stop string", "length", "cancelled", "error", "content filter"]
# A completion that ended for one of these reasons is incomplete: it is neither scored nor shown to annotators.
NO_ANSWER = ("cancelled", "error", "content filter")


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
            "alternatives": [asdict(alternative) for alternative in self.alternatives],
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
        return f"All {counted} went into reasoning, which is not part of the answer; allow more new tokens."
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
