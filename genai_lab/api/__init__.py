"""The public API: `import genai_lab as gl; lab = gl.open("lab_data")`."""

from typing import TYPE_CHECKING, Any

from genai_lab.api.lab import Lab, open, restore

if TYPE_CHECKING:
    from genai_lab.api.metrics import metric

__all__ = ["Lab", "metric", "open", "restore"]


def __getattr__(name: str) -> Any:
    """`metric` is imported when it is first asked for, since numpy comes with it."""
    if name != "metric":
        raise AttributeError(f"module 'genai_lab.api' has no attribute {name!r}")
    from genai_lab.api.metrics import metric

    return metric
