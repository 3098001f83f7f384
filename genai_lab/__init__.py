"""A lab for generative-AI experiments: `import genai_lab as gl; lab = gl.open("lab_data")`.

The names of `genai_lab.api` are found here when they are first used, so that importing the package stays quick.
"""

from typing import TYPE_CHECKING, Any

from genai_lab import exports as _exports
from genai_lab import torch_threads as _torch_threads  # noqa: F401 - sets what torch reads when it is imported
from genai_lab.version import __version__

if TYPE_CHECKING:
    from genai_lab.api import Lab, metric, open, restore
    from genai_lab.decoding import Sampling
    from genai_lab.errors import LabError
    from genai_lab.prompts import Template

__all__ = ["Lab", "LabError", "Sampling", "Template", "__version__", "metric", "open", "restore"]


def __getattr__(name: str) -> Any:
    """The public name, imported when it is first used."""
    return _exports.load(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_exports.MODULES})
