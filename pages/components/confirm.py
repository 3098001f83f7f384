"""A question before something is lost, in the page's flow."""

from typing import Any

import gradio as gr

from pages.components.errors import INTERNAL
from pages.components.head import escaped_html


class Confirm:
    """A row that asks; `yes` is the button to wire, the other one, called `keep`, closes the row.

    `ask(sentence)` gives the updates for `outputs`, `close()` those that take the row away again.
    """

    def __init__(self, action: str, elem_id: str, keep: str = "Keep") -> None:
        with gr.Row(visible=False, elem_classes=["confirm"], elem_id=elem_id) as self.row:
            self.sentence = escaped_html(
                html_template='<p role="alertdialog" aria-label="Please confirm">{{value}}</p>',
                elem_classes=["plain"],
                js_on_load=None,
            )
            self.yes = gr.Button(action, variant="stop", size="sm", scale=0, min_width=90, elem_id=f"{elem_id}-yes")
            leave = gr.Button(keep, size="sm", scale=0, min_width=70, elem_id=f"{elem_id}-keep")
        self.outputs = [self.row, self.sentence]
        leave.click(self.close, None, self.outputs, queue=False, **INTERNAL)

    def ask(self, sentence: str) -> tuple[Any, Any]:
        return gr.update(visible=True), sentence

    def close(self) -> tuple[Any, Any]:
        return gr.update(visible=False), gr.skip()
