"""The playground: one prompt, a model, its settings; every token explained, runs compared and shared."""

import gradio as gr

from genai_lab.context import LabContext
from pages.components.head import page_head
from pages.playground import api, best, compare, grid, single, welcome

TITLE = "Playground"
ROUTE = ""


def build(lab: LabContext) -> None:
    page_head(TITLE, "Stream a completion, see why each token was chosen, and compare settings side by side.")
    api.build(lab)  # first, or the page's own handlers would take the public names
    welcome.build(lab)
    with gr.Tabs(elem_id="pg-tabs") as tabs:
        with gr.Tab("Single", id="single"):
            form = single.build(lab)
        with gr.Tab("Compare", id="compare") as tab:
            compare.build(lab, form, tabs, tab)
        with gr.Tab("Grid", id="grid"):
            grid.build(lab, form)
        with gr.Tab("Best of n", id="best"):
            best.build(lab, form)
