"""The feedback page: create campaigns, invite annotators, read agreement and leaderboard, train reward models."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import feedback as service
from genai_lab.services import lineage
from pages.components import jobstrip
from pages.components.errors import INTERNAL
from pages.components.forms import Form, in_section
from pages.components.head import html_part, page_head
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values
from pages.feedback import demo, items, new, outcome, progress, results

TITLE = "Feedback"
ROUTE = "feedback"
LIST = """
{{#if value.rows.length}}<details class="list" open><summary>Campaigns</summary><div class="grid-scroll" tabindex="0"
role="region" aria-label="Campaigns"><table class="grid run-table fb-campaigns"><thead><tr><th scope="col">Campaign</th>
<th scope="col">Criterion</th><th scope="col">Items</th><th scope="col">Answers</th><th scope="col">Annotators</th>
<th scope="col">State</th></tr></thead><tbody>{{#each value.rows}}<tr data-campaign="{{this.id}}"
class="{{#if this.selected}}picked{{/if}}"><td><button type="button"
aria-label="Open campaign {{this.name}}">{{this.name}}
</button></td><td><span>{{this.criterion}}</span></td><td>{{this.items}}</td><td>{{this.answers}}<div class="bar"
role="progressbar" aria-label="Answers of {{this.name}}" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div></td><td>{{this.annotators}}</td>
<td><span class="state {{this.status}}">{{this.status}}</span></td></tr>{{/each}}</tbody></table></div></details>
{{else}}<div class="empty-state" data-ready="yes"><b>No campaigns yet</b><p>Start the example under New campaign:
completions are generated, and in a minute you rank them yourself.</p></div>{{/if}}
"""
HEADING = """
{{#if value.id}}<div class="fb-heading"><h2>{{value.name}} <span class="state {{value.status}}"
data-status="{{value.status}}">{{value.status}}</span></h2><p>{{value.question}}
<a href="{{value.lineage}}">Lineage</a></p></div>{{/if}}
"""
PICK = """
element.addEventListener('click', event => {
  const row = event.target.closest('tr[data-campaign]');
  if (!row) return;
  history.replaceState(null, '', location.pathname + '?campaign=' + row.dataset.campaign);
  trigger('select', { id: row.dataset.campaign });
});
"""
ADDRESS = """(id) => { if (id) history.replaceState(null, '', `${location.pathname}?campaign=${id}`); return id; }"""


HEAD = ["drawn_state", "list", "heading", *progress.PANELS]
FIGURES = [*results.AGREEMENT_PANELS, *results.BOARD_PANELS, *items.PANELS, *outcome.PANELS]
FIGURE_INPUTS = ["campaign", "length_control", "items.named"]


def build(lab: LabContext) -> None:
    page_head(TITLE, "Rank completions blind, see how far annotators agree, and train a reward model on the answers.")
    form = Form(campaign=gr.State(None), drawn_state=gr.State(""), started=gr.State(None))
    selection = Selection(key=lambda arguments: arguments[0]["campaign"])
    jobstrip.build(lab, ("campaign",))
    with gr.Tabs(elem_id="fb-pages") as page_tabs:
        with gr.Tab("Campaigns", id="campaigns"):
            form.add(
                list=html_part({"rows": []}, LIST, "fb-list", PICK, sheet="feedback.css"),
                heading=html_part({}, HEADING, "fb-heading", sheet="feedback.css"),
            )
            with gr.Tabs(elem_id="fb-tabs") as tabs:
                with gr.Tab("Progress", id="progress"):
                    progress.build(lab, form, selection)
                with gr.Tab("Agreement", id="agreement"):
                    results.build_agreement(form)
                with gr.Tab("Leaderboard", id="leaderboard"):
                    results.build_leaderboard(lab, form, selection)
                with gr.Tab("Items", id="items"):
                    items.build(lab, form, selection)
                with gr.Tab("Export and reward model", id="outcome"):
                    outcome.build(lab, form, selection)
        with gr.Tab("New campaign", id="new"):
            new_campaign = form.include(new.build(lab, form), new.OFFERED, "new")
        with gr.Tab("Demos", id="demos"):
            new_demo = form.include(demo.build(lab), demo.OFFERED, "demo")
    form.add(page_tabs=page_tabs, tabs=tabs)
    form.on_load(load_page, lab, outputs=["page_tabs", "campaign", *HEAD, *new_campaign, *new_demo])
    _wire(lab, form, selection)


def _wire(lab: LabContext, form: Form, selection: Selection) -> None:
    form.on(form["list"].select, select_campaign, outputs=["campaign"], trigger_mode="multiple")
    switched = form.on(
        form["campaign"].change,
        selection.on_choice(show_campaign, lab),
        inputs=["campaign"],
        outputs=[*HEAD, *FIGURES, *outcome.RESULTS],
    )
    draw_figures = selection.for_choice(render_figures, lab)
    form.on(switched.success, draw_figures, inputs=FIGURE_INPUTS, outputs=FIGURES)
    # Figures follow when answers have come in, and only where somebody looks at them.
    form.on(form["tabs"].select, draw_figures, inputs=FIGURE_INPUTS, outputs=FIGURES)
    followed = form.on(
        form["started"].change, show_started, inputs=["started"], outputs=["page_tabs", "tabs", "campaign"]
    )
    followed.success(None, form["campaign"], None, js=ADDRESS, **INTERNAL)
    # A late tick must not undo a selection, so it never says which campaign is selected.
    form.on(gr.Timer(2).tick, selection.for_choice(refresh, lab), inputs=["campaign", "drawn_state"], outputs=HEAD)


def load_page(lab: LabContext, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?campaign=ID, ?runs=1,2 for a new one, else the newest campaign."""
    requested, runs = request.query_params.get("campaign", ""), request.query_params.get("runs", "")
    campaigns = [view.id for view in service.find(lab)]
    campaign = int(requested) if requested.isdecimal() and int(requested) in campaigns else None
    if requested and campaign is None:
        gr.Warning(f"There is no campaign {requested[:20]}; the newest one is shown.", title="Not found")
    if campaign is None:
        campaign = next(iter(campaigns), None)
    return {
        "page_tabs": gr.update(selected="new" if runs or not campaigns else "campaigns"),
        "campaign": campaign,
        **render(lab, campaign),
        **in_section(new.load_choices(lab, runs), "new"),
        **in_section(demo.load_choices(lab), "demo"),
    }


def select_campaign(event: gr.EventData) -> Updates:
    return {"campaign": int(event.id)}


def show_started(values: Values) -> Updates:
    """To the campaign that has just been created."""
    if not values["started"]:
        return {}
    return {
        "page_tabs": gr.update(selected="campaigns"),
        "tabs": gr.update(selected="progress"),
        "campaign": values["started"],
    }


def refresh(lab: LabContext, values: Values) -> Updates:
    campaign = values["campaign"]
    return {} if _state(lab, campaign) == values["drawn_state"] else render(lab, campaign)


def _state(lab: LabContext, campaign: int | None) -> str:
    """What stands above the figures, as one text; it is drawn again when it changes."""
    campaigns = [(view.id, view.name, view.status, view.got, view.annotators, view.items) for view in service.find(lab)]
    return repr((campaign, campaigns))


def render(lab: LabContext, campaign: int | None) -> Updates:
    """Everything above the figures."""
    state = _state(lab, campaign)  # read first: what changes while the rest is read is drawn at the next tick
    views = service.find(lab)
    view = next((view for view in views if view.id == campaign), None)
    return {
        "drawn_state": state,
        "list": {"rows": [_row(row, campaign) for row in views]},
        "heading": _heading(view) if view else {},
        **progress.render(lab, view),
    }


def show_campaign(lab: LabContext, values: Values) -> Updates:
    """The head of the selected campaign, over panels emptied of the figures of the last one."""
    updates = render(lab, values["campaign"])
    name = updates["heading"].get("name", "")
    return {**updates, **results.empty_panels(name), **items.empty_panels(name), **outcome.empty_panels(name)}


def render_figures(lab: LabContext, values: Values) -> Updates:
    """What is computed from all answers."""
    try:
        view = service.show(lab, values["campaign"]) if values["campaign"] is not None else None
    except LabError:
        view = None
    return {
        **results.render_agreement(lab, view),
        **results.render_board(lab, view, values["length_control"]),
        **items.render(lab, view, 0, values["items.named"]),
        **outcome.render(lab, view),
    }


def _heading(view: service.CampaignView) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "status": view.status,
        "question": view.plan.question,
        "lineage": lineage.address_of("campaign", view.id),
    }


def _row(view: service.CampaignView, campaign: int | None) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "criterion": view.plan.criterion,
        "items": f"{view.items:,}",
        "answers": f"{view.got:,} of {view.wanted:,}",
        "percent": round(100 * min(1.0, view.share)),
        "annotators": view.annotators,
        "status": view.status,
        "selected": view.id == campaign,
    }
