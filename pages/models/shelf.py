"""The shelf on the Models page: models worth having, each got by one press, and a GGUF file of one's own."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models as service
from genai_lab.services.models import shelf
from pages.components.errors import notice
from pages.components.forms import Form
from pages.components.head import html_part
from pages.components.settings_inputs import Updates, Values
from pages.components.stats import count_text, size_text

_CARDS = """
<ul class="shelf" data-ready="yes" aria-label="Models to get">{{#each value}}<li data-name="{{this.name}}">
<h3>{{this.name}} <span class="state {{this.state}}">{{this.state_text}}</span></h3>
<p>{{this.good_for}}</p>
<dl><dt>Size</dt><dd>{{this.size}}</dd><dt>Memory</dt><dd>{{this.memory}}</dd><dt>Licence</dt><dd>{{this.licence}}</dd>
<dt>Speed here</dt><dd>{{this.speed}}</dd><dt>From</dt><dd>{{this.places}}</dd></dl>
{{#if this.coming}}<div class="bar" role="progressbar" aria-label="{{this.name}} is coming" aria-valuemin="0"
aria-valuemax="100" aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div>
<p class="progress tabular">{{this.progress}}</p>{{/if}}
{{#if this.error}}<p class="problem">{{this.error}}</p>{{/if}}
<div class="row buttons">{{#if this.can_get}}<button type="button" data-do="get"
aria-label="{{this.action}} {{this.name}}">{{this.action}}</button>{{/if}}
{{#if this.coming}}<button type="button" data-do="cancel" aria-label="Cancel {{this.name}}">Cancel</button>{{/if}}
{{#if this.address}}<a href="{{this.address}}">Open in playground</a>{{/if}}
{{#if this.model}}<button type="button" data-do="show" aria-label="Show {{this.model}}">Show</button>{{/if}}</div></li>
{{/each}}</ul>
"""
_SCRIPT = """
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-do]');
  if (!button) return;
  const name = button.closest('li').dataset.name;
  if (button.dataset.do === 'get') trigger('get', { name });
  else if (button.dataset.do === 'cancel') trigger('cancel', { name });
  else trigger('show', { name });
});
"""
STATES = {"absent": "not downloaded", "coming": "coming", "here": "here", "stopped": "stopped"}


def build(form: Form) -> None:
    """Draws the cards and the field for a file, closed where it is not the first thing to look at."""
    with gr.Accordion("Shelf: recommended models", open=True, elem_id="models-shelf-panel"):
        form.add(shelf=html_part([], _CARDS, "models-shelf", _SCRIPT, sheet="catalogue.css"))
        with gr.Row(equal_height=True):
            form.add(
                gguf_file=gr.Textbox(
                    label="Another GGUF file",
                    info="A path, or owner/name/file.gguf of the Hub; converted to a model that torch can tune.",
                    placeholder="owner/name/file.gguf",
                    elem_id="gguf-file",
                    max_lines=1,
                    max_length=1000,
                    submit_btn="Import",
                )
            )


def cards(lab: LabContext) -> list[dict[str, Any]]:
    """Every model of the shelf, as the page draws it."""
    return [_card(item) for item in shelf.shelf(lab)]


def get(lab: LabContext, name: str) -> None:
    shelf.get(lab, name)
    notice(f"{name} is being downloaded; you can leave this page.")


def cancel(lab: LabContext, name: str) -> None:
    shelf.cancel(lab, name)


def model_of(lab: LabContext, name: str) -> str:
    """The model of the catalogue that a card of the shelf stands for."""
    models = shelf.item(lab, name).models
    if not models:
        raise LabError(f"{name} is not downloaded yet; get it first.")
    return models[0]


def import_file(lab: LabContext, values: Values) -> Updates:
    file = service.gguf_source(values["gguf_file"] or "")
    if file is None:
        raise LabError("A GGUF file ends in .gguf; give its path, or owner/name/file.gguf for one of the Hub.")
    started = service.convert(lab, file)
    notice(f"{started.name} is being created from {size_text(started.bytes)}; the Jobs page shows its progress.")
    return {"gguf_file": ""}


def _card(item: shelf.ShelfItem) -> dict[str, Any]:
    received, total = item.done_bytes, item.total_bytes
    percent = round(100 * min(1.0, received / total), 1) if total else 0
    stopped = item.status == "stopped"
    size = f"{size_text(item.disk_bytes)} on disk, {count_text(item.parameters)} parameters"
    model = item.models[0] if item.models else ""
    return {
        "name": item.name,
        "good_for": item.good_for,
        "state": {"absent": "archived", "coming": "downloading", "here": "ready", "stopped": "failed"}[item.status],
        "state_text": STATES[item.status],
        "size": size if item.status == "here" else f"{size}, {size_text(item.download_bytes)} to fetch",
        "memory": f"about {size_text(item.memory_bytes)}" + ("" if item.models else " for the weights"),
        "licence": item.licence or ("known once downloaded" if item.licence is None else "not stated"),
        "speed": f"{item.tokens_per_second:.0f} tokens/s" if item.tokens_per_second else "not measured yet",
        "places": ", else ".join(item.places),
        "coming": item.status == "coming",
        "percent": percent,
        "progress": f"{size_text(received)} of {size_text(total)} {item.message}".strip() if total else item.message,
        "error": item.error,
        "can_get": item.status in ("absent", "stopped"),
        "action": "Go on" if stopped else "Get",
        "model": model,
        "address": f"/?model={model}" if model and item.role == "generate" else "",
    }
