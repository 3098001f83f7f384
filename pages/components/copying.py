"""Buttons that put text on the clipboard or into a file."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from pages.components.errors import INTERNAL, event_handler

_WRITE = """async (text) => {
  try { await navigator.clipboard.writeText(text); }
  catch (e) {
    const area = document.createElement('textarea');
    area.value = text; document.body.append(area); area.select(); document.execCommand('copy'); area.remove();
  }
}"""

_SAVE = """(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/plain;charset=utf-8'}));
  link.download = 'FILENAME'; document.body.append(link); link.click(); link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""


def copy_component(button: gr.Button, source: Any) -> None:
    """Copies what `source` shows."""
    button.click(None, source, None, js=_WRITE, **INTERNAL)
    _say_copied(button)


def copy_computed(button: gr.Button, fn: Callable[..., str], inputs: Sequence[Any] | set[Any], *bound: Any) -> None:
    """Copies what `fn(*bound, *inputs)` returns; the text passes through a box that is never shown."""
    box = gr.Textbox(visible="hidden", show_label=False, container=False)
    text_event = button.click(event_handler(fn, *bound), inputs, box, **INTERNAL)
    text_event.success(None, box, None, js=_WRITE, **INTERNAL)
    _say_copied(button, text_event)


def _say_copied(button: gr.Button, after: Any = None) -> None:
    label = button.value
    copied = after.success if after is not None else button.click
    label_set = copied(None, None, button, js="() => 'Copied'", **INTERNAL)
    label_set.then(
        None,
        None,
        button,
        js=f"() => new Promise(r => setTimeout(() => r({str(label)!r}), 1200))",
        **INTERNAL,
    )


def download_computed(
    button: gr.Button, fn: Callable[..., str], inputs: Sequence[Any] | set[Any], filename: str, *bound: Any
) -> None:
    """Saves what `fn(*bound, *inputs)` returns as a file of the browser's; nothing is written on the server."""
    box = gr.Textbox(visible="hidden", show_label=False, container=False)
    text_event = button.click(event_handler(fn, *bound), inputs, box, **INTERNAL)
    text_event.success(None, box, None, js=_SAVE.replace("FILENAME", filename), **INTERNAL)
