"""A button that takes runs to a new campaign on the Feedback page."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from pages.components.errors import INTERNAL, event_handler

_GO = "(runs) => { if (runs) location.assign(`/feedback?runs=${runs}`); }"


def send_to_ranking(button: gr.Button, fn: Callable[..., str], inputs: Sequence[Any] | set[Any], *bound: Any) -> None:
    """`fn(*bound, *inputs)` gives numbers of runs with commas between them; raises LabError where there are none."""
    box = gr.Textbox(visible="hidden", show_label=False, container=False)
    event = button.click(event_handler(fn, *bound), inputs, box, **INTERNAL)
    event.success(None, box, None, js=_GO, **INTERNAL)
