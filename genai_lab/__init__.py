"""A lab for generative-AI experiments: `import genai_lab as gl; lab = gl.open("lab_data")`.

The names of `genai_lab.api` are found here when they are first used, so that importing the package stays quick.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from genai_lab.version import __version__

if TYPE_CHECKING:
    from genai_lab.api import Lab, metric, open, restore
    from genai_lab.decoding import Sampling
    from genai_lab.errors import LabError
    from genai_lab.prompts import Template

__all__ = ["Lab", "LabError", "Sampling", "Template", "__version__", "metric", "open", "restore"]


# Torch's threads wait for one another by spinning. Beside another process that does so too, each keeps the other from
# the core that it waits for, and a training step takes several times as long (benchmarks/contention.py). Read when
# torch is first imported, here and in every worker; a value that is set already stays.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_HOMES = {
    "Lab": "genai_lab.api.lab",
    "open": "genai_lab.api.lab",
    "restore": "genai_lab.api.lab",
    "metric": "genai_lab.api.metrics",
    "Sampling": "genai_lab.decoding",
    "Template": "genai_lab.prompts",
    "LabError": "genai_lab.errors",
}


def __getattr__(name: str) -> Any:
    """The public name, imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'genai_lab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
