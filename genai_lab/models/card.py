"""What is known of a model before it is loaded: where it comes from, its family, its sizes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genai_lab.errors import ModelError
from genai_lab.models.checks import size_text

# Tokens of a text whose keys and values are counted into the memory that a model takes.
CACHED = 8192
Family = Literal["decoder-only", "encoder-decoder", "classifier", "encoder", "endpoint"]
Mode = Literal["completion", "chat", "text-to-text"]
# What computes a model's logits in this process; "torch" also of those that are not computed here.
Engine = Literal["torch", "llama.cpp"]
Role = Literal["generate", "reward", "classify", "embed"]


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

    @property
    def default_name(self) -> str:
        """The last part of where it comes from, in letters that a model's name may have."""
        last = (self.remote_name or self.location).rstrip("/").rsplit("/", 1)[-1]
        return re.sub(r"[^\w.:@+-]+", "-", last).strip("-._:@+")[:100]


@dataclass(frozen=True)
class Card:
    """What is known of a model without loading it. Bytes are whole numbers; None where a place does not tell.

    `dtype` is that of the weights on file, `loaded_dtype` what they are loaded in here and `device` where; None leaves
    that to the lab's options. `memory_bytes` is what the process takes for the model as foreseen (see `sizing`); of
    these, `cache_bytes` are the keys and values of one text that fills the context (`CACHED` tokens of it where it is
    longer). `engine` computes the model. `converted_from` is the file, or the model that the catalogue has for it, of
    which these weights are a copy. `completes` marks a model with a chat template whose training was mostly plain text,
    so that completion is what it does best.
    """

    name: str
    source: Source
    role: Role
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
    converted_from: str | None = None
    engine: Engine = "torch"
    device: str | None = None

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

    def facts(self) -> tuple[str, ...]:
        """What it is in a few words each, as far as it is known."""
        sizes = [f"{self.parameters:,} parameters"] if self.parameters else []
        sizes += [f"{size_text(self.disk_bytes)} on disk"] if self.disk_bytes else []
        sizes += [f"about {size_text(self.memory_bytes)} in memory"] if self.memory_bytes else []
        context = [f"{self.context:,} tokens of context"] if self.context else []
        modes = ["first in " + self.modes[0]] if self.modes else []
        return (f"{self.architecture} ({self.family})", *sizes, *context, *modes)

    @property
    def is_adapter(self) -> bool:
        """Whether the model stands on another one of the catalogue."""
        return self.source.base is not None

    @property
    def has_weights(self) -> bool:
        """Whether torch computes the model here from weights on file, which can then be trained or measured."""
        return self.path is not None and self.family != "endpoint" and self.engine == "torch"

    def require_torch(self, what: str) -> None:
        """Raises ModelError where another engine computes the model, which `what` cannot do without torch."""
        if self.engine != "torch":
            raise ModelError(
                f"{self.name} runs in {self.engine}, and {what} needs torch; create its torch copy on the Models page."
            )
