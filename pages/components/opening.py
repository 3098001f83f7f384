"""What happens when a page is opened."""

from collections.abc import Callable, Sequence
from typing import Any

from gradio.context import Context

from pages.components.errors import PRIVATE, guarded


def on_open(fn: Callable[..., Any], outputs: Sequence[Any], *bound: Any, inputs: Sequence[Any] = ()) -> Any:
    """Runs `fn(*bound, *inputs)` when the page that is being built opens; `request: gr.Request` tells the address.

    Returns Gradio's dependency, for `.then`.
    """
    blocks = Context.root_block
    if blocks is None:
        raise RuntimeError("on_open belongs inside a page's build function")
    return blocks.load(guarded(fn, *bound), list(inputs), list(outputs), **PRIVATE)
