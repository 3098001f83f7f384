"""The tab "Demos": pages for visitors, made, shared and closed."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models, presets
from genai_lab.services.feedback import demos, fresh, warming
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import piece
from pages.feedback.progress import LINKS

Update = Any
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


class Demos:
    """`offers` are filled when the page opens."""

    def __init__(self, lab: LabContext) -> None:
        with gr.Row():
            title = gr.Textbox(label="Title", max_lines=1, elem_id="fb-demo-title")
            chosen = gr.Dropdown(
                [],
                multiselect=True,
                max_choices=6,
                label="Models",
                info="2 to 6; visitors see two.",
                elem_id="fb-demo-models",
            )
        with gr.Row():
            intro = gr.Textbox(label="Introduction", info="A sentence for visitors.", lines=3, elem_id="fb-demo-intro")
            prompts = gr.Textbox(label="Example prompts", info="One a line.", lines=3, elem_id="fb-demo-prompts")
        with gr.Row():
            reveal = gr.Checkbox(
                True, label="Reveal names", info="After the vote, which model wrote which.", elem_id="fb-demo-reveal"
            )
            board = gr.Checkbox(
                True, label="Show results so far", info="After the vote, a small board.", elem_id="fb-demo-board"
            )
        make = gr.Button("Make demo", variant="primary", scale=0, min_width=120, elem_id="fb-demo-make")
        with gr.Accordion("Details", open=False, elem_id="fb-demo-limits"):
            with gr.Row():
                preset = gr.Dropdown([], label="Preset", info="Settings of the playground.", elem_id="fb-demo-preset")
                temperature = gr.Number(
                    None, label="Temperature", info="Empty: the preset's; 0 is greedy.", elem_id="fb-demo-temperature"
                )
                tokens = gr.Number(
                    128,
                    precision=0,
                    label="Max new tokens",
                    info=f"At most {demos.MOST_TOKENS}.",
                    elem_id="fb-demo-tokens",
                )
            with gr.Row():
                subtitle = gr.Textbox(
                    label="Subtitle", info="Under the title.", max_lines=1, elem_id="fb-demo-subtitle"
                )
                contact = gr.Textbox(label="Contact", info="Shown at the foot.", max_lines=1, elem_id="fb-demo-contact")
            with gr.Row():
                limits = [
                    gr.Number(2000, precision=0, label="Characters a prompt", elem_id="fb-demo-longest"),
                    gr.Number(6, precision=0, label="Prompts of a visitor a minute", elem_id="fb-demo-minute"),
                    gr.Number(600, precision=0, label="Prompts of all an hour", elem_id="fb-demo-hour"),
                ]
        table = piece({"rows": []}, LIST, "fb-demos", LINKS + CLOSE, sheet="feedback.css")
        self.offers = [table, chosen, preset, temperature, prompts]
        shown = [subtitle, contact, reveal, board]
        given = [title, chosen, preset, temperature, tokens, intro, prompts, *shown, *limits]
        make.click(guarded(make_demo, lab), given, [table, title], **PRIVATE)
        table.retry(guarded(renewed, lab), None, table, **PRIVATE)
        table.cancel(guarded(closed, lab), None, table, **PRIVATE)


def offered(lab: LabContext) -> Sequence[Update]:
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]
    kept = list(presets.presets(lab))
    preset = gr.update(choices=kept, value="balanced")
    # A number without a value stands as 0 until it is told that it is empty, and 0 would be greedy.
    pair = list(fresh.comparable(lab))
    prompts = gr.update(value="\n".join(demos.example_prompts(lab, pair)))
    return [_list(lab), gr.update(choices=names, value=pair), preset, gr.update(value=None), prompts]


def make_demo(lab: LabContext, *values: Any) -> Sequence[Update]:
    title, chosen, preset, temperature, tokens, intro, prompts, subtitle, contact, reveal, board, *limits = values
    if not (title or "").strip():
        raise LabError("The title is empty; write what visitors are to read first.")
    sampling = demos.sampling(lab, preset or "balanced", int(tokens or 0), temperature)
    texts = tuple(line.strip() for line in (prompts or "").splitlines() if line.strip())
    longest, minute, hour = (int(one or 0) for one in limits)
    plan = demos.DemoPlan(
        title,
        tuple(chosen or ()),
        texts,
        intro or "",
        sampling,
        longest,
        minute,
        hour,
        subtitle or "",
        contact or "",
        bool(reveal),
        bool(board),
    )
    view = demos.create(lab, plan)
    warming.warm(lab, view.plan.models)
    notice(f"{view.plan.title} is open; copy its link. Its models are being loaded.")
    return [_list(lab), ""]


def renewed(lab: LabContext, event: gr.EventData) -> Update:
    view = demos.show(lab, int(event.id))
    demos.link(lab, view.id, renew=True)
    notice(f"{view.plan.title} has a new link; the old one opens nothing any more.")
    return _list(lab)


def closed(lab: LabContext, event: gr.EventData) -> Update:
    view = demos.show(lab, int(event.id))
    demos.close(lab, view.id, not view.closed)
    return _list(lab)


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
