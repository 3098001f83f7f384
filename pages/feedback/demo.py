"""The tab "Demos": create, share and close pages for visitors."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models, presets
from genai_lab.services.feedback import demos, fresh, warming
from pages.components.errors import notice
from pages.components.forms import Form
from pages.components.head import html_part
from pages.components.settings_inputs import Updates, Values
from pages.feedback.progress import LINKS

LIST = """
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Demos">
<table class="grid fb-people"><thead><tr><th scope="col">Demo</th><th scope="col">Models</th><th scope="col">Votes</th>
<th scope="col">State</th><th scope="col">Link</th></tr></thead><tbody>{{#each value.rows}}<tr
data-annotator="{{this.id}}"><td>{{this.title}}</td><td>{{this.models}}</td>
<td><a href="/feedback?campaign={{this.campaign}}">{{this.votes}}</a></td><td>{{this.state}}</td><td>
<button type="button" data-do="copy" data-path="{{this.path}}"
aria-label="Copy link of demo {{this.title}}">Copy link</button>
<a href="{{this.path}}" target="_blank" rel="noopener" aria-label="Open demo {{this.title}}">Open</a>
<button type="button" data-do="renew" data-ask="End the old link?"
aria-label="New link for demo {{this.title}}">New link</button>
<button type="button" data-do="close"
aria-label="{{this.action}} demo {{this.title}}">{{this.action}}</button></td></tr>
{{/each}}</tbody></table></div>{{else}}<div class="empty-state"><b>No demos yet</b><p>Choose two models and a title: one
link opens a page that shows their answers side by side, and nothing else.</p></div>{{/if}}
"""
CLOSE = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-do=close]');
  if (button) trigger('cancel', { id: button.closest('tr').dataset.annotator });
});
"""


FIELDS = [
    *("title", "models", "intro", "prompts", "reveal", "board"),
    *("preset", "temperature", "max_new_tokens", "subtitle", "contact"),
    *("longest", "per_minute", "per_hour"),
]
OFFERED = ["table", "models", "preset", "temperature", "prompts"]


def build(lab: LabContext) -> Form:
    """Draws the tab; `load_choices` fills OFFERED of the returned form."""
    form = Form()
    _main_fields(form)
    create = gr.Button("Create demo", variant="primary", scale=0, min_width=120, elem_id="fb-demo-make")
    with gr.Accordion("Details", open=False, elem_id="fb-demo-limits"):
        _details(form)
    form.add(table=html_part({"rows": []}, LIST, "fb-demos", LINKS + CLOSE, sheet="feedback.css"))
    form.on(create.click, create_demo, lab, inputs=FIELDS, outputs=["table", "title"])
    form.on(form["table"].retry, renew_link, lab, outputs=["table"])
    form.on(form["table"].cancel, close_or_reopen, lab, outputs=["table"])
    return form


def _main_fields(form: Form) -> None:
    with gr.Row():
        form.add(
            title=gr.Textbox(label="Title", max_lines=1, elem_id="fb-demo-title"),
            models=gr.Dropdown(
                [],
                multiselect=True,
                max_choices=6,
                label="Models",
                info="2 to 6; visitors see two.",
                elem_id="fb-demo-models",
            ),
        )
    with gr.Row():
        form.add(
            intro=gr.Textbox(label="Introduction", info="A sentence for visitors.", lines=3, elem_id="fb-demo-intro"),
            prompts=gr.Textbox(label="Example prompts", info="One per line.", lines=3, elem_id="fb-demo-prompts"),
        )
    with gr.Row():
        form.add(
            reveal=gr.Checkbox(
                True,
                label="Reveal names",
                info="After the vote, visitors see which model wrote which answer.",
                elem_id="fb-demo-reveal",
            ),
            board=gr.Checkbox(
                True,
                label="Show results so far",
                info="After the vote, visitors see a small leaderboard.",
                elem_id="fb-demo-board",
            ),
        )


def _details(form: Form) -> None:
    with gr.Row():
        form.add(
            preset=gr.Dropdown(
                [], label="Preset", info="Sampling settings saved in the playground.", elem_id="fb-demo-preset"
            ),
            temperature=gr.Number(
                None, label="Temperature", info="Empty: the preset's; 0 is greedy.", elem_id="fb-demo-temperature"
            ),
            max_new_tokens=gr.Number(
                128,
                precision=0,
                label="Max new tokens",
                info=f"At most {demos.MOST_TOKENS}.",
                elem_id="fb-demo-tokens",
            ),
        )
    with gr.Row():
        form.add(
            subtitle=gr.Textbox(
                label="Subtitle", info="Shown under the title.", max_lines=1, elem_id="fb-demo-subtitle"
            ),
            contact=gr.Textbox(
                label="Contact", info="Shown at the foot of the page.", max_lines=1, elem_id="fb-demo-contact"
            ),
        )
    with gr.Row():
        form.add(
            longest=gr.Number(2000, precision=0, label="Characters per prompt", elem_id="fb-demo-longest"),
            per_minute=gr.Number(6, precision=0, label="Prompts per visitor and minute", elem_id="fb-demo-minute"),
            per_hour=gr.Number(600, precision=0, label="Prompts per hour, of all visitors", elem_id="fb-demo-hour"),
        )


def load_choices(lab: LabContext) -> Updates:
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]
    pair = list(fresh.comparable(lab))
    return {
        "table": _list(lab),
        "models": gr.update(choices=names, value=pair),
        "preset": gr.update(choices=list(presets.presets(lab)), value="balanced"),
        # A number without a value is 0 until it is set to empty, and 0 would be greedy.
        "temperature": gr.update(value=None),
        "prompts": gr.update(value="\n".join(demos.example_prompts(lab, pair))),
    }


def read_plan(lab: LabContext, values: Values) -> demos.DemoPlan:
    """The demo's plan from the form's values; raises LabError."""
    if not (values["title"] or "").strip():
        raise LabError("The title is empty; write what visitors should read first.")
    max_new_tokens = int(values["max_new_tokens"] or 0)
    return demos.DemoPlan(
        values["title"],
        tuple(values["models"] or ()),
        prompts=tuple(line.strip() for line in (values["prompts"] or "").splitlines() if line.strip()),
        intro=values["intro"] or "",
        sampling=demos.sampling(lab, values["preset"] or "balanced", max_new_tokens, values["temperature"]),
        longest=int(values["longest"] or 0),
        a_minute=int(values["per_minute"] or 0),
        an_hour=int(values["per_hour"] or 0),
        subtitle=values["subtitle"] or "",
        contact=values["contact"] or "",
        reveal=bool(values["reveal"]),
        board=bool(values["board"]),
    )


def create_demo(lab: LabContext, values: Values) -> Updates:
    view = demos.create(lab, read_plan(lab, values))
    warming.warm(lab, view.plan.models)
    notice(f"{view.plan.title} is open; copy its link. Its models are being loaded.")
    return {"table": _list(lab), "title": ""}


def renew_link(lab: LabContext, event: gr.EventData) -> Updates:
    view = demos.show(lab, int(event.id))
    demos.link(lab, view.id, renew=True)
    notice(f"{view.plan.title} has a new link; the old one no longer works.")
    return {"table": _list(lab)}


def close_or_reopen(lab: LabContext, event: gr.EventData) -> Updates:
    view = demos.show(lab, int(event.id))
    demos.close(lab, view.id, not view.closed)
    return {"table": _list(lab)}


def _list(lab: LabContext) -> dict[str, Any]:
    return {
        "rows": [
            {
                "id": view.id,
                "title": view.plan.title,
                "models": ", ".join(view.plan.models),
                "campaign": view.campaign,
                "votes": f"{view.votes:,}",
                "state": "closed" if view.closed else "open",
                "action": "Reopen" if view.closed else "Close",
                "path": view.path,
            }
            for view in demos.find(lab)
        ]
    }
