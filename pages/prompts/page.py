"""The prompt lab: templates with their versions, filled with real rows."""

import gradio as gr

from genai_lab.context import LabContext
from pages.components.head import page_head
from pages.prompts import matrix, templates

TITLE = "Prompt lab"
ROUTE = "prompts"


def build(lab: LabContext) -> None:
    page_head(
        TITLE,
        "Write a prompt once, keep every version, and learn which one is best with which model and how many shots.",
    )
    # Outside of the tabs, which are drawn when they are first opened: what the browser kept is read on arrival.
    draft = gr.BrowserState(None, storage_key="genai-lab-matrix", secret="genai-lab")
    with gr.Tabs(elem_id="prompts-tabs") as tabs:
        with gr.Tab("Templates", id="templates"):
            templates.build(lab)
        with gr.Tab("Matrix", id="matrix"):
            matrix.build(lab, tabs, draft)
