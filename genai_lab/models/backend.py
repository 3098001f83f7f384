"""The kinds of place that models come from: one backend a file, found by itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from genai_lab.errors import ModelError
from genai_lab.models.card import Card, Source
from genai_lab.models.request import Generator
from genai_lab.registry import Registry

if TYPE_CHECKING:
    from genai_lab.models.scorer import Scorer


@dataclass(frozen=True)
class Options:
    """How models are loaded. `roots` are the folders that a local folder may lie in; `timeout` in seconds.

    `base_paths` are the folders of the models that an adapter can stand on, by name. Endpoints at link-local addresses
    are refused unless `allow_link_local`. With `show_hidden` the catalogue lists models of hidden backends too.

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
    show_hidden: bool = False


@dataclass(frozen=True)
class SourceField:
    """A part of `Source` that a user gives to add a model. Pages draw it, and errors name it by its label.

    A path is a place on this machine, with `Backend.suggestions` as its choices; a model is one of the catalogue.
    """

    name: Literal["location", "revision", "base", "remote_name", "key_env"]
    label: str
    placeholder: str = ""
    help: str = ""
    required: bool = False
    kind: Literal["text", "path", "model"] = "text"


@dataclass(frozen=True)
class SourceCheck:
    """What a place says before anything of it is taken: the source, with the commit that it means now, and facts."""

    source: Source
    facts: tuple[str, ...]


class Backend:
    """One kind of place that models come from.

    A new backend is one module of this package with a subclass, registered under its name. Its class attributes answer
    what services and pages would otherwise ask by name; `title` and `fields` make its tab on the Models page.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    # Not listed in the catalogue, on pages or by the command line unless it is asked for.
    hidden: ClassVar[bool] = False
    # Comes with the lab and cannot be removed.
    shipped: ClassVar[bool] = False
    # Is fetched to this machine before it can be used.
    downloads: ClassVar[bool] = False
    # Needs files on this machine; False for what is computed elsewhere or made up.
    has_files: ClassVar[bool] = True
    # Is asked over a network, by the name that the model has there.
    served: ClassVar[bool] = False
    # Where several backends could mean the same text, the lowest one has it.
    precedence: ClassVar[int] = 50
    # What a user says to add one of its models; () where nobody adds them by hand.
    fields: ClassVar[tuple[SourceField, ...]] = ()

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        """What the place says of the model; raises ModelError in one sentence for everything that can be wrong."""
        raise NotImplementedError

    def load(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        """`base` is what an adapter stands on, loaded; it must stay so for as long as the adapter is used."""
        raise NotImplementedError

    def load_scorer(self, card: Card, options: Options) -> "Scorer":
        """The model as one that scores texts, by its role; raises ModelError for one that cannot."""
        raise NotImplementedError

    def detect(self, text: str, options: Options) -> Source | None:
        """The source that a user's text names (a path, a name, an address), None where it is not of this kind."""
        return None

    def check(self, source: Source, options: Options) -> SourceCheck:
        """What adding the source would bring, for people; raises ModelError for one that cannot be added."""
        card = self.inspect(source, source.remote_name or source.location, options)
        return SourceCheck(card.source, card.facts())

    def suggestions(self, options: Options) -> list[str]:
        """Places on this machine that the field of kind path could name."""
        return []

    def pretrained_arguments(self, card: Card) -> tuple[str, str | None] | None:
        """(location, revision) for transformers' from_pretrained in a snippet; None where it cannot read the model."""
        return (str(card.path), None) if card.path is not None else None

    def describe(self, source: Source) -> str:
        """The place in a few words, for people."""
        location = f"{source.location}@{source.revision[:10]}" if source.revision else source.location
        return f"{self.name}: {location}" + (f" on {source.base}" if source.base else "")


BACKENDS: Registry[Backend] = Registry("backend", "genai_lab.models", marker="BACKENDS.register(")


def detect_source(text: str, options: Options) -> Source:
    """The source of a model from what a user typed: a folder, a starter's name, a Hub id or an address.

    Raises ModelError where no backend knows it.
    """
    text = text.strip()
    backends = sorted((BACKENDS.get(name) for name in BACKENDS), key=lambda backend: backend.precedence)
    for backend in backends if text else ():
        if (source := backend.detect(text, options)) is not None:
            return source
    raise ModelError(
        f"{text[:200]!r} is not an existing folder or GGUF file, a Hub id (OWNER/NAME), a starter model or an address "
        "(http://...); correct it."
    )
