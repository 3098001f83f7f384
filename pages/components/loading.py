"""What happens when a page is opened, and while an answer is on its way that fills a form."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from gradio.context import Context

from pages.components.errors import INTERNAL, event_handler

# What is typed before the answer comes would be overwritten by it: the page takes nothing meanwhile (lab.js).
HOLD = "(...values) => {{ window.labHold?.(1); return values.slice(0, {count}); }}"
RELEASE = "() => { window.labHold?.(-1); return []; }"


def on_load(fn: Callable[..., Any], outputs: Sequence[Any], *bound: Any, inputs: Sequence[Any] = ()) -> Any:
    """Runs `fn(*bound, *inputs)` when the page that is being built opens; `request: gr.Request` tells the address.

    Returns Gradio's dependency, for `.then`.
    """
    blocks = Context.root_block
    if blocks is None:
        raise RuntimeError("on_open belongs inside a page's build function")
    return fill_form(blocks.load, fn, outputs, *bound, inputs=inputs)


def fill_form(
    event: Callable[..., Any],
    fn: Callable[..., Any],
    outputs: Sequence[Any],
    *bound: Any,
    inputs: Sequence[Any] = (),
) -> Any:
    """On `event` (a button's click), `fn(*bound, *inputs)` fills form fields, and nothing can be typed until it has.

    Returns Gradio's dependency, for `.then`.
    """
    return hold(event, event_handler(fn, *bound), list(inputs), list(outputs))


def hold(event: Callable[..., Any], handler: Callable[..., Any], inputs: Collection[Any], outputs: list[Any]) -> Any:
    """Calls the handler on `event`; from then until its answer has come the page takes no typing."""
    answer = event(handler, inputs or None, outputs, js=HOLD.format(count=len(inputs)), **INTERNAL)
    answer.then(None, None, None, js=RELEASE, queue=False, **INTERNAL)
    return answer


def number_of(text: str | None) -> int | None:
    """The number that an address names; None where it names none that anything here could have."""
    return int(text) if text and text.isdecimal() and len(text) < 10 else None
