"""Human feedback for its lead: campaigns made, annotators invited, agreement, leaderboard, export, reward models."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import feedback as service
from pages.components import jobstrip
from pages.components.errors import PRIVATE, guarded
from pages.components.head import page_head, piece
from pages.components.opening import on_open
from pages.components.selection import Selection
from pages.feedback import demo, items, new, outcome, progress, results

TITLE = "Feedback"
ROUTE = "feedback"
LIST = """
{{#if value.rows.length}}<details class="list" open><summary>Campaigns</summary><div class="grid-scroll" tabindex="0"
role="region" aria-label="Campaigns"><table class="grid run-table fb-campaigns"><thead><tr><th scope="col">Campaign</th>
<th scope="col">Criterion</th><th scope="col">Items</th><th scope="col">Answers</th><th scope="col">Annotators</th>
<th scope="col">State</th></tr></thead><tbody>{{#each value.rows}}<tr data-campaign="{{this.id}}"
class="{{#if this.chosen}}picked{{/if}}"><td><button type="button"
aria-label="Open campaign {{this.name}}">{{this.name}}
</button></td><td><span>{{this.criterion}}</span></td><td>{{this.items}}</td><td>{{this.answers}}<div class="bar"
role="progressbar" aria-label="Answers of {{this.name}}" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div></td><td>{{this.annotators}}</td>
<td><span class="state {{this.status}}">{{this.status}}</span></td></tr>{{/each}}</tbody></table></div></details>
{{else}}<div class="empty-state" data-ready="yes"><b>No campaigns yet</b><p>Start the example under New campaign:
completions are drawn, and in a minute you rank them yourself.</p></div>{{/if}}
"""
HEADING = """
{{#if value.id}}<div class="fb-heading"><h2>{{value.name}} <span class="state {{value.status}}"
data-status="{{value.status}}">{{value.status}}</span></h2><p>{{value.question}}</p></div>{{/if}}
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
Update = Any


def build(lab: LabContext) -> None:
    page_head(TITLE, "Rank completions blind, see how far annotators agree, and teach a reward model what they prefer.")
    opened, seen, begun = gr.State(None), gr.State(""), gr.State(None)
    selection = Selection()
    jobstrip.build(lab, ("campaign",))
    with gr.Tabs(elem_id="fb-pages") as places:
        with gr.Tab("Campaigns", id="campaigns"):
            listed = piece({"rows": []}, LIST, "fb-list", PICK, sheet="feedback.css")
            heading = piece({}, HEADING, "fb-heading", sheet="feedback.css")
            with gr.Tabs(elem_id="fb-tabs") as tabs:
                with gr.Tab("Progress", id="progress"):
                    shown = progress.Progress(lab, opened, selection)
                with gr.Tab("Agreement", id="agreement"):
                    agreed = results.Agreement(lab)
                with gr.Tab("Leaderboard", id="leaderboard"):
                    board = results.Leaderboard(lab, opened, selection)
                with gr.Tab("Items", id="items"):
                    read = items.Items(lab, opened, selection)
                with gr.Tab("Export and reward model", id="outcome"):
                    made = outcome.Outcome(lab, opened, selection)
        with gr.Tab("New campaign", id="new"):
            fresh = new.New(lab, begun)
        with gr.Tab("Demos", id="demos"):
            shows = demo.Demos(lab)
    head = [opened, seen, listed, heading, *shown.drawn]
    panels = [*agreed.drawn, *board.drawn, *read.drawn, *made.drawn, *made.answers]
    drawn = panels[: -len(made.answers)]
    wanted = [opened, board.fair, read.named]
    on_open(arrived, [places, *head, *fresh.offers, *shows.offers], lab)
    listed.select(guarded(chosen), None, opened, queue=False, **PRIVATE)
    opened.change(selection.on_choice(switched, lab), opened, [*head, *panels], **PRIVATE).success(
        selection.for_choice(figures, lab), wanted, drawn, **PRIVATE
    )
    begun.change(followed, begun, [places, tabs, opened], **PRIVATE).success(None, opened, None, js=ADDRESS, **PRIVATE)
    # A tick that is late must not undo a choice, so it never says what is open.
    gr.Timer(2).tick(selection.for_choice(ticked, lab), [opened, seen], head[1:], **PRIVATE)
    # Figures follow when answers have come in, and only where somebody looks at them.
    tabs.select(selection.for_choice(figures, lab), wanted, drawn, **PRIVATE)


def arrived(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?campaign=ID, ?runs=1,2 for a new one, else the newest campaign."""
    asked, runs = request.query_params.get("campaign", ""), request.query_params.get("runs", "")
    found = service.find(lab)
    known = [view.id for view in found]
    wanted = int(asked) if asked.isdecimal() and int(asked) in known else (known[0] if known else None)
    if asked and not (asked.isdecimal() and int(asked) in known):
        gr.Warning(f"There is no campaign {asked[:20]}; the newest one is shown.", title="Not found")
    tab = "new" if runs or not known else "campaigns"
    return [gr.update(selected=tab), *drawing(lab, wanted), *new.offered(lab, runs), *demo.offered(lab)]


def chosen(event: gr.EventData) -> int:
    return int(event.id)


def followed(campaign: int | None) -> Sequence[Update]:
    """To the campaign that has just been made."""
    if not campaign:
        return gr.skip(), gr.skip(), gr.skip()
    return gr.update(selected="campaigns"), gr.update(selected="progress"), campaign


def ticked(lab: LabContext, campaign: int | None, seen: str) -> Sequence[Update]:
    return gr.skip() if mark(lab, campaign) == seen else drawing(lab, campaign)[1:]


def mark(lab: LabContext, campaign: int | None) -> str:
    told = [(one.id, one.name, one.status, one.got, one.annotators, one.items) for one in service.find(lab)]
    return repr((campaign, told))


def drawing(lab: LabContext, campaign: int | None) -> Sequence[Update]:
    """Everything above the figures, in the order of `head`."""
    found = service.find(lab)
    view = next((one for one in found if one.id == campaign), None)
    return [
        view.id if view else None,
        mark(lab, campaign),
        {"rows": [_row(one, campaign) for one in found]},
        _heading(view) if view else {},
        *progress.draw(lab, view),
    ]


def switched(lab: LabContext, campaign: int | None) -> Sequence[Update]:
    """The head of the campaign that was chosen, over panels without the figures of the last one."""
    made = list(drawing(lab, campaign))
    made[0] = gr.skip()  # said back, it would undo a choice that was made meanwhile
    name = made[3].get("name", "")
    cleared = (results.cleared_agreement, results.cleared_board, items.cleared, outcome.cleared)
    return [*made, *(update for clear in cleared for update in clear(name))]


def figures(lab: LabContext, campaign: int | None, fair: bool, named: bool) -> Sequence[Update]:
    """What is computed from all answers."""
    try:
        view = service.show(lab, campaign) if campaign is not None else None
    except LabError:
        view = None
    return [
        *results.draw_agreement(lab, view),
        *results.draw_board(lab, view, fair),
        *items.draw(lab, view, 0, True, named),
        *outcome.draw(lab, view),
    ]


def _heading(view: service.CampaignView) -> dict[str, Any]:
    return {"id": view.id, "name": view.name, "status": view.status, "question": view.plan.question}


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
        "chosen": view.id == campaign,
    }
