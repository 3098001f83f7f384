"""Where the public names of `genai_lab` lie; each is imported when it is first used."""

from importlib import import_module
from typing import Any

MODULES = {
    "Lab": "genai_lab.api.lab",
    "open": "genai_lab.api.lab",
    "restore": "genai_lab.api.lab",
    "metric": "genai_lab.api.metrics",
    "Sampling": "genai_lab.decoding",
    "Template": "genai_lab.prompts",
    "LabError": "genai_lab.errors",
}


def load(name: str) -> Any:
    """The public name; raises AttributeError where there is none."""
    if name not in MODULES:
        raise AttributeError(f"module 'genai_lab' has no attribute {name!r}")
    return getattr(import_module(MODULES[name]), name)
