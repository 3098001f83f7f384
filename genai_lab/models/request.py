"""What a model is asked and what it gives back: prompts, requests, streams, and the contract of a loaded model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from genai_lab.decoding import Completion, Delta, Sampling
from genai_lab.errors import BadSetting
from genai_lab.models.card import Card, Mode

LONGEST_PROMPT = 1_000_000


@dataclass(frozen=True)
class Prompt:
    """What goes in: the text, or in chat mode the messages ({"role": "user", "content": ...}).

    `prefix` is the beginning of the completion, given as token ids (exact, for continue and branch); it is part of
    the returned tokens' context, never of the returned tokens. `shared` is the number of leading characters of `text`,
    or in chat mode of leading messages, that other prompts of the batch begin with too, so that the scheduler computes
    them once.
    """

    text: str = ""
    messages: tuple[dict[str, str], ...] = ()
    mode: Mode = "completion"
    prefix: tuple[int, ...] = ()
    shared: int = 0

    @property
    def as_text(self) -> str:
        """What people and reward models read as the prompt: the text, or the messages without a chat template."""
        if self.mode != "chat" or not self.messages:
            return self.text
        if len(self.messages) == 1:
            return self.messages[0]["content"]
        from genai_lab.data.conversations import Message, write_text

        return write_text([Message(message["role"], message["content"]) for message in self.messages])

    @property
    def last_text(self) -> str:
        """The text, or in chat mode the last message."""
        return self.text or (self.messages[-1]["content"] if self.messages else "")


@dataclass(frozen=True)
class Request:
    """One prompt with its settings. `trace` is the number of alternatives kept for each stage of each token (0: none).

    With `keep_logits` the stream keeps every step's logits, float32 (steps, vocabulary), for the microscope.
    """

    prompt: Prompt
    sampling: Sampling = field(default_factory=Sampling)
    trace: int = 0
    return_logits: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.trace <= 1000:
            raise BadSetting("trace", self.trace, "a whole number of alternatives from 0 to 1000")


class Stream(Protocol):
    """What a model gives back for a request: iterate for deltas, then read `completions`.

    Iterating ends when all completions are finished, cancelled or failed; a failure raises LabError.
    """

    def __iter__(self) -> Iterator[Delta]: ...

    def cancel(self) -> None:
        """Ends the stream within 0.3 s; what was generated so far stands in `completions`."""

    @property
    def completions(self) -> tuple[Completion, ...]:
        """Finished ones, and after the end all of them, by index."""

    @property
    def rendered(self) -> str:
        """The text that the model read, after the chat template."""

    def logits(self, completion: int, step: int) -> Any:
        """The kept logits (vocabulary,) float32 numpy before any filter; None where they were not kept."""


class Generator(Protocol):
    """A loaded model."""

    card: Card

    def submit(self, requests: Sequence[Request]) -> list[Stream]:
        """Queues the requests into one batch with all others. Raises PromptTooLong, BadSetting, ModelError."""

    def count_tokens(self, prompt: Prompt) -> int | None: ...

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        """The text's tokens as (id, text)."""

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids that repetition filters look back on: the prompt's (decoder-only) and the prefix's."""

    def prefix_text(self, prompt: Prompt) -> str:
        """The prompt's prefix as text, without a character that its last tokens leave incomplete: the completion brings
        it as a whole.
        """

    def token_text(self, token_id: int) -> str:
        """One vocabulary entry as readable text."""

    def close(self) -> None:
        """Stops the scheduler's thread and frees the memory."""
