"""What can generate: the contract of a model and the kinds of place that one comes from.

A `Card` says what a model is, before it is loaded; a `Generator` is a loaded one. Backends (one file each, in
`BACKENDS`) read a card from a `Source` and load it: starter, local folder, Hub snapshot, PEFT adapter, endpoint.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from genai_lab.decoding import Completion, Delta, Sampling
from genai_lab.errors import BadSetting
from genai_lab.registry import Registry

CACHED = 8192
LONGEST_PROMPT = 1_000_000
Family = Literal["decoder-only", "encoder-decoder", "classifier", "encoder", "endpoint"]
Mode = Literal["completion", "chat", "text-to-text"]


@dataclass(frozen=True)
class Source:
    """Where a model comes from. `location` is a folder, a Hub id or an endpoint's address.

    `revision` belongs to a Hub id, `base` is the name of the model below an adapter, `remote_name` the model's name at
    an endpoint, `key_env` the name of the environment variable that holds the key or token, never the secret itself.
    """

    backend: str
    location: str
    revision: str | None = None
    base: str | None = None
    remote_name: str | None = None
    key_env: str | None = None


@dataclass(frozen=True)
class Card:
    """What is known of a model without loading it. Bytes are whole numbers; None where a place does not tell.

    `dtype` is that of the weights on file, `loaded_dtype` what they are loaded in here. `memory_bytes` is what the
    process takes for the model as foreseen (see `sizing`); of these, `cache_bytes` are the keys and values of one text
    that fills the context (`CACHED` tokens of it where it is longer). `completes` marks a model with a chat template
    whose training was mostly plain text, so that completion is what it does best.
    """

    name: str
    source: Source
    role: Literal["generate", "reward", "classify"]
    family: Family
    architecture: str
    parameters: int | None = None
    dtype: str | None = None
    disk_bytes: int | None = None
    memory_bytes: int | None = None
    context: int | None = None
    licence: str | None = None
    content_hash: str | None = None
    chat: bool = False
    path: Path | None = None
    about: str = ""
    completes: bool = False
    loaded_dtype: str | None = None
    cache_bytes: int | None = None

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that this model can do, the best first: chat wherever it has a template for it.

        The first one is the default of every prompt that names no mode.
        """
        if self.family == "encoder-decoder":
            return ("text-to-text",)
        if self.family == "endpoint":
            return ("chat", "completion")
        if self.family in ("classifier", "encoder"):
            return ()
        if not self.chat:
            return ("completion",)
        return ("completion", "chat") if self.completes else ("chat", "completion")


@dataclass(frozen=True)
class Prompt:
    """What goes in: the text, or in chat mode the messages ({"role": "user", "content": ...}).

    `prefix` is the beginning of the completion, given as token ids (exact, for continue and branch); it is part of
    the returned tokens' context, never of the returned tokens. `shared` is the number of leading characters of `text`
    that other prompts of the batch begin with too, so that the scheduler computes them once.
    """

    text: str = ""
    messages: tuple[dict[str, str], ...] = ()
    mode: Mode = "completion"
    prefix: tuple[int, ...] = ()
    shared: int = 0

    @property
    def asked(self) -> str:
        """What people and reward models read as the prompt: the text, or the messages without a chat template."""
        if self.mode != "chat" or not self.messages:
            return self.text
        if len(self.messages) == 1:
            return self.messages[0]["content"]
        from genai_lab.data.conversations import Message, write_text

        return write_text([Message(one["role"], one["content"]) for one in self.messages])

    @property
    def said(self) -> str:
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


class Backend(Protocol):
    """One kind of place that models come from."""

    name: str
    title: str

    def inspect(self, source: Source, name: str, options: "Options") -> Card:
        """What the place says of the model; raises ModelError in one sentence for everything that can be wrong."""

    def load(self, card: Card, options: "Options", base: Generator | None = None) -> Generator:
        """`base` is what an adapter stands on, loaded; it must stay so for as long as the adapter is used."""


@dataclass(frozen=True)
class Options:
    """How models are loaded. `roots` are the folders that a local folder may lie in; `timeout` in seconds.

    `base_paths` are the folders of the models that an adapter can stand on, by name. Endpoints at link-local addresses
    are refused unless `allow_link_local`.

    `hashes` is the file that remembers hashes of weights; large ones that it does not hold are left for later, unless
    `hash_all` is set.
    """

    device: str = "auto"
    dtype: str = "auto"
    roots: tuple[Path, ...] = ()
    cache: Path | None = None
    timeout: float = 30.0
    base_paths: tuple[tuple[str, Path], ...] = ()
    hashes: Path | None = None
    hash_all: bool = False
    allow_link_local: bool = False


BACKENDS: Registry[Backend] = Registry("backend", __name__)
