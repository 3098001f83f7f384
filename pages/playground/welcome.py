"""The first page of a new lab: what the lab is for, and three ways in. It leaves once the lab is in use."""

import html
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.recipes import all_recipes
from genai_lab.services import history
from pages.components.head import PLAIN, style_sheet
from pages.components.loading import on_load
from pages.components.recipe_links import links_markup

WHAT_FOR = (
    "A lab for experiments with language models: inspect single answers, find out which prompt or model is better "
    "and how certain that is, train a model on your data or on human rankings, and keep every run as it was."
)
# Title, sentence, link text, address.
WAYS_IN = (
    (
        "See why it chose a word",
        "Generate a story with a small model that is already here, then point at any word to see what else it could "
        "have been and what each setting did to the choice.",
        "Open the example",
        "/?example=Continue+a+story",
    ),
    (
        "Which prompt is best?",
        "Try prompts, models and numbers of solved examples on the same rows: scores with intervals, and a verdict in "
        "words.",
        "Set up a small comparison",
        "/prompts?example=yes",
    ),
    (
        "Bring your model",
        "A folder on this machine, an id of the Hub, an adapter, or a server such as vLLM, Ollama or llama.cpp.",
        "Add a model",
        "/models?add=local",
    ),
)
LOOK = """
.welcome { display: grid; gap: 10px; }
.welcome > p { margin: 0; font-size: 13px; color: var(--body-text-color); max-width: 96ch; }
.welcome .ways { list-style: none; margin: 0; padding: 0; display: grid; gap: 10px;
  grid-template-columns: repeat(3, 1fr); }
.welcome .ways li { margin: 0; border: 1px solid var(--border-color-primary); border-radius: 6px; padding: 12px 14px;
  background: var(--block-background-fill); display: flex; flex-direction: column; gap: 4px; }
.welcome h2 { font-size: 14px; font-weight: 600; margin: 0; color: var(--body-text-color); }
.welcome .ways li p { font-size: 13px; margin: 0; flex: 1; color: var(--body-text-color-subdued); }
.welcome a { color: var(--link-text-color); font-size: 13px; font-weight: 500; }
@media (max-width: 640px) {
  .welcome .ways { grid-template-columns: 1fr; gap: 6px; }
  .welcome .ways li { padding: 8px 12px; }
  .welcome .ways li p, .welcome > p { display: none; }
}
"""
Update = Any


def build(lab: LabContext) -> None:
    markup = gr.HTML(
        _markup(),
        css_template=LOOK + style_sheet("recipes.css"),
        visible=False,
        apply_default_css=False,
        elem_classes=PLAIN,
        js_on_load=None,
        elem_id="pg-welcome",
    )
    on_load(load_page, [markup], lab)


def load_page(lab: LabContext) -> Update:
    return gr.update(visible=history.is_new(lab))


def _markup() -> str:
    items = "".join(
        f"<li><h2>{html.escape(title)}</h2><p>{html.escape(sentence)}</p>"
        f'<a href="{html.escape(address, quote=True)}">{html.escape(link)}</a></li>'
        for title, sentence, link, address in WAYS_IN
    )
    recipes = links_markup(all_recipes())
    return f'<div class="welcome"><p>{html.escape(WHAT_FOR)}</p><ul class="ways">{items}</ul>{recipes}</div>'
