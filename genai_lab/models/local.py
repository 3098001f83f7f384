"""A folder on this machine that holds a transformers model with safetensors weights."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from genai_lab.errors import LabError, ModelError
from genai_lab.models import BACKENDS, Backend, Card, Generator, Options, Source, SourceField
from genai_lab.models.checks import check_links, existing_folder, folder_within
from genai_lab.models.folders import MARKS, model_folders, names_below
from genai_lab.models.inspect import inspect_folder, quick_check
from genai_lab.models.scorer import Scorer
from genai_lab.models.tokenizer_panics import clear_panics

log = logging.getLogger(__name__)


class FolderBackend(Backend):
    """What the backends share whose models lie in a folder of this machine."""

    def load(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        return load_folder(card, options)

    def load_scorer(self, card: Card, options: Options) -> Scorer:
        from genai_lab.models.embedder import Embedder
        from genai_lab.models.reward_model import RewardModel
        from genai_lab.models.text_scorer import TextScorer
        from genai_lab.models.transformers import choose_device

        if card.family == "encoder":
            return Embedder(card, choose_device(options.device))
        return RewardModel(card, choose_device(options.device)) if card.role == "reward" else TextScorer(card)


class LocalFolder(FolderBackend):
    name = "local"
    title = "Local folder"
    precedence = 40
    fields = (
        SourceField(
            "location", "Folder", help="With config.json and safetensors; choose one or type its path", required=True,
            kind="path",
        ),
    )  # fmt: skip

    def suggestions(self, options: Options) -> list[str]:
        return [str(path) for path in model_folders(options.roots, "config.json")]

    def detect(self, text: str, options: Options) -> Source | None:
        folder = existing_folder(text)
        return Source(self.name, str(folder)) if folder is not None else None

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        folder = folder_within(source.location, options.roots)
        if not any((folder / mark).is_file() for mark in MARKS) and (below := names_below(folder)):
            raise ModelError(f"{folder} has no config.json, but there are models below it: {below}. Give one of these.")
        check_links(folder, options.roots)
        return inspect_folder(folder, name, source, options)

    def load(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        folder_within(str(card.path), options.roots)
        return load_folder(card, options)


def load_folder(card: Card, options: Options) -> Generator:
    """Loads the folder that the card's path names, after a look at what may have changed since it was inspected."""
    from genai_lab.models.transformers import load_local

    if card.path is None:
        raise ModelError(f"{card.name} is not on this machine yet; download it first.")
    quick_check(card.path)
    with clear_errors(card.name):
        return cast(Generator, load_local(card.path, card, options))


@contextmanager
def clear_errors(name: str) -> Iterator[None]:
    """Turns what libraries raise while they read the files of `name` into one sentence."""
    try:
        with clear_panics(f"The tokenizer of {name}"):
            yield
    except LabError:
        raise
    except Exception as problem:
        # Files from elsewhere make transformers, torch and tokenizers raise anything, from ZeroDivisionError to a
        # tokenizer's bare Exception, so that no narrower class would do.
        log.warning("%s cannot be loaded", name, exc_info=problem)
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ModelError(f"{name} cannot be loaded: {lines[0].rstrip('.:')[:300]}.") from problem


BACKENDS.register("local")(LocalFolder())
