"""The tab "Progress": the campaign's state, its annotators, how far each of them is, and their links."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import feedback as service
from genai_lab.services.feedback import figures, links, systems
from pages.components.confirm import Confirm
from pages.components.errors import INTERNAL, event_handler, notice
from pages.components.forms import Form, in_section, section
from pages.components.head import html_part
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values
from pages.components.stats import NOTHING, seconds_text

DETAIL = """
{{#if value.id}}<div class="job-detail fb-detail" data-status="{{value.status}}">
<div class="bar" role="progressbar" aria-label="Answers" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{value.percent}}"><i style="width:{{value.percent}}%"></i></div>
<dl>{{#each value.facts}}<dt>{{this.[0]}}</dt><dd>{{this.[1]}}</dd>{{/each}}</dl>
{{#each value.notes}}<p class="next">{{this}}</p>{{/each}}</div>{{/if}}
"""
PEOPLE = """
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Annotators">
<table class="grid fb-people fb-annotators"><thead><tr>
<th scope="col">Annotator</th><th scope="col">Done</th><th scope="col">Skipped
</th><th scope="col">Flagged</th><th scope="col">Pace</th><th scope="col">Gold right</th><th scope="col">Link</th></tr>
</thead><tbody>{{#each value.rows}}<tr data-annotator="{{this.id}}"><td>{{this.name}}</td><td>{{this.done}}</td>
<td>{{this.skipped}}</td><td>{{this.flagged}}</td><td>{{this.pace}}</td><td>{{this.gold}}</td><td>{{#if this.path}}
<button type="button" data-do="copy" data-path="{{this.path}}"
aria-label="Copy link of {{this.name}}">Copy link</button>
<a href="{{this.path}}" target="_blank" rel="noopener" aria-label="Open link of {{this.name}}">Open</a>
<button type="button" data-do="renew" data-ask="End the old link?"
aria-label="New link for {{this.name}}">New link</button>
<button type="button" data-do="revoke" data-ask="End the link?"
aria-label="End link of {{this.name}}">End link</button>{{else}}{{this.note}}{{#if this.ended}}
<button type="button" data-do="renew" data-ask="Let them in again?"
aria-label="New link for {{this.name}}">New link</button>{{/if}}{{/if}}
</td></tr>{{/each}}</tbody></table></div>{{else}}{{#if value.id}}<div class="empty-state">
<b>No annotators yet</b>
<p>Write a name above and invite: each annotator gets a personal link that opens only their cards.</p></div>
{{/if}}{{/if}}
"""
LINKS = """
element.addEventListener('click', async event => {
  const button = event.target.closest('button[data-do]');
  if (!button) return;
  const id = button.closest('tr').dataset.annotator;
  if (button.dataset.ask && !button.dataset.sure) {
    button.dataset.sure = 'yes';
    button.textContent = button.dataset.ask;
    return;
  }
  if (button.dataset.do === 'renew') trigger('retry', { id });
  if (button.dataset.do === 'revoke') trigger('cancel', { id });
  if (button.dataset.do !== 'copy') return;
  const text = location.origin + button.dataset.path;
  try { await navigator.clipboard.writeText(text); }
  catch (e) { const area = document.createElement('textarea'); area.value = text; document.body.append(area);
    area.select(); document.execCommand('copy'); area.remove(); }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy link'; }, 1200);
});
"""


ACTIONS = ("open", "pause", "close", "reopen", "discard")
NEW_STATUS = {"open": "open", "pause": "paused", "close": "closed", "reopen": "open"}
PANELS = [f"progress.{name}" for name in ("detail", *ACTIONS, "invite", "people", "settings")]
SETTINGS = ["settings.name", "settings.overlap", "settings.guidelines"]


def build(lab: LabContext, form: Form, selection: Selection) -> None:
    """Draws the tab and adds its components to the page's form."""
    components: dict[str, Any] = {"detail": html_part({}, DETAIL, "fb-detail", sheet="feedback.css")}
    with gr.Row(elem_classes=["actions"]):
        for action in ACTIONS:
            components[action] = gr.Button(
                action.capitalize(),
                size="sm",
                scale=0,
                min_width=70,
                visible=False,
                variant="primary" if action == "open" else "secondary",
                elem_id=f"fb-{action}",
            )
    confirm = Confirm("Discard", "fb-confirm")
    with gr.Row(visible=False, elem_classes=["actions", "fb-invite"]) as invite_row:
        names = gr.Textbox(
            label="Invite annotators",
            info="Names, separated by commas; each gets a personal link.",
            max_lines=1,
            elem_id="fb-name",
        )
        invite_button = gr.Button("Invite", size="sm", scale=0, min_width=80, elem_id="fb-invite")
    people = html_part({"rows": []}, PEOPLE, "fb-people", LINKS, sheet="feedback.css")
    with gr.Accordion("Name, guidelines and overlap", open=False, visible=False, elem_id="fb-words") as settings:
        save = _settings(form)
    components |= {"invite": invite_row, "names": names, "people": people, "settings": settings}
    form.add(in_section(components, "progress"))

    def on(event: Any, fn: Any, *bound: Any, inputs: Sequence[str] = (), outputs: Sequence[str] = PANELS) -> None:
        form.on(event, selection.for_choice(fn, *bound), inputs=["campaign", *inputs], outputs=outputs)

    for action, status in NEW_STATUS.items():
        on(components[action].click, change_status, lab, status)
    components["discard"].click(
        event_handler(ask_to_discard, lab, confirm), form["campaign"], confirm.outputs, **INTERNAL
    )
    discarded = form.on(confirm.yes.click, discard, lab, inputs=["campaign"], outputs=["campaign"])
    discarded.then(confirm.close, None, confirm.outputs, **INTERNAL)
    for event in (invite_button.click, names.submit):
        on(event, invite, lab, inputs=["progress.names"], outputs=["progress.names", *PANELS])
    on(people.retry, renew_link, lab)
    on(people.cancel, end_link, lab)
    on(settings.expand, load_settings, lab, outputs=SETTINGS)
    on(save.click, save_settings, lab, inputs=SETTINGS)


def _settings(form: Form) -> gr.Button:
    with gr.Row():
        name = gr.Textbox(label="Name", max_lines=1, elem_id="fb-rename")
        overlap = gr.Number(
            1, precision=0, label="Overlap", info="Annotators per item; can be raised later.", elem_id="fb-overlap-now"
        )
    guidelines = gr.Textbox(
        label="Guidelines", info="Annotators can read them at any time.", lines=4, elem_id="fb-guidelines-now"
    )
    form.add(in_section({"name": name, "overlap": overlap, "guidelines": guidelines}, "settings"))
    return gr.Button("Save", size="sm", scale=0, min_width=70, elem_id="fb-save-words")


def render(lab: LabContext, view: service.CampaignView | None) -> Updates:
    status = view.status if view else ""
    visible = {
        "open": status == "draft" and not (view and view.got >= view.wanted > 0),
        "pause": status == "open",
        "close": status in ("open", "paused"),
        "reopen": status in ("paused", "closed"),
        "discard": bool(view and not view.got),
        "invite": bool(view),
        "settings": bool(view),
    }
    updates: Updates = {name: gr.update(visible=shows) for name, shows in visible.items()}
    updates["detail"] = _detail(lab, view) if view else {}
    updates["people"] = _people(lab, view) if view else {"rows": []}
    return in_section(updates, "progress")


def _detail(lab: LabContext, view: service.CampaignView) -> dict[str, Any]:
    people = figures.progress(lab, view.id)
    paces = [person.seconds_per_item for person in people if person.seconds_per_item]
    pace = sum(paces) / len(paces) if paces else None
    remaining = max(0, view.wanted - view.got)
    facts = [
        ("Answers", f"{view.got:,} of {view.wanted:,} ({100 * min(1.0, view.share):.0f} %)"),
        ("Items", f"{view.items:,}"),
        ("Overlap", f"{view.plan.overlap} annotator{'s' if view.plan.overlap > 1 else ''} per item"),
        ("Kind", f"{view.plan.kind}, ties {'allowed' if view.plan.ties else 'not allowed'}"),
        ("Pace", f"{seconds_text(pace)} per item" if pace else NOTHING),
        ("Work left", f"{seconds_text(pace * remaining)} in total" if pace and remaining else NOTHING),
        ("Repeated items", _repeats(view, sum(person.repeats for person in people))),
        ("Seed", str(view.plan.seed)),
    ]
    return {
        "id": view.id,
        "status": view.status,
        "percent": round(100 * min(1.0, view.share)),
        "facts": facts,
        "notes": [note for note in (_next(view), _warning(lab, view)) if note],
    }


def _repeats(view: service.CampaignView, count: int) -> str:
    """How many answers were given a second time, and why there may be none."""
    if not view.plan.repeats:
        return "off"
    expected = view.items * view.plan.overlap * view.plan.repeats
    few = "; too few items to expect one" if expected < 1 and not count else ""
    return f"{count:,} of {view.items:,} items so far ({100 * view.plan.repeats:.0f} % planned, sides swapped){few}"


def _warning(lab: LabContext, view: service.CampaignView) -> str:
    """What prevents a leaderboard, said before anybody has ranked."""
    return systems.of(lab, view.id).problem if view.items else ""


def _next(view: service.CampaignView) -> str:
    if view.problem:
        return view.problem
    if not view.items and view.status == "open":
        return "Its items come from the visitors of its demo."
    if view.status == "making":
        return "Its candidates are being generated; the strip above shows the progress."
    if view.got >= view.wanted > 0:
        return "Every item has its answers. Next: agreement, leaderboard, and a reward model."
    if not view.annotators:
        return "Next: invite annotators, yourself among them, and open the campaign."
    if view.status == "draft" and view.got < view.wanted:
        return "Next: open the campaign; until then the links say that it has not started."
    return ""


def _people(lab: LabContext, view: service.CampaignView) -> dict[str, Any]:
    links_by_annotator = {link.annotator: link for link in links.find_links(lab, view.id)}
    rows = []
    for person in figures.progress(lab, view.id):
        link = links_by_annotator.get(person.id)
        rows.append(
            {
                "id": person.id,
                "name": person.name,
                "done": f"{person.done:,}",
                "skipped": f"{person.skipped:,}",
                "flagged": f"{person.flagged:,}",
                "pace": seconds_text(person.seconds_per_item) if person.seconds_per_item else NOTHING,
                "gold": f"{100 * person.gold:.0f} %" if person.gold is not None else NOTHING,
                "path": link.path if link and not link.revoked else "",
                "note": "visitor" if person.visitor else "ended",
                "ended": not person.visitor,
            }
        )
    return {"id": view.id, "rows": rows}


def change_status(lab: LabContext, status: str, values: Values) -> Updates:
    return render(lab, service.move(lab, selected_campaign(values), status))


def ask_to_discard(lab: LabContext, confirm: Confirm, campaign: int | None) -> Sequence[Any]:
    view = service.show(lab, selected_campaign({"campaign": campaign}))
    items = f"{view.items:,} item{'s' if view.items != 1 else ''}"
    return confirm.ask(f"Discard {view.name} with its {items}? Its links will stop working.")


def discard(lab: LabContext, values: Values) -> Updates:
    view = service.show(lab, selected_campaign(values))
    service.discard(lab, view.id)
    notice(f"{view.name} is discarded.")
    return {"campaign": next((campaign.id for campaign in service.find(lab)), None)}


def invite(lab: LabContext, values: Values) -> Updates:
    names = [name.strip() for name in (values["progress.names"] or "").split(",") if name.strip()]
    if not names:
        raise LabError("No name is given; write the annotators' names, separated by commas.")
    for name in names:
        links.invite(lab, selected_campaign(values), name)
    return {"progress.names": "", **render(lab, service.show(lab, selected_campaign(values)))}


def renew_link(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    link = links.renew(lab, int(event.id))
    notice(f"{link.name} has a new link; the old one no longer works.")
    return render(lab, service.show(lab, selected_campaign(values)))


def end_link(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    link = links.renew(lab, int(event.id), revoke=True)
    notice(f"The link of {link.name} has ended; the answers stay.")
    return render(lab, service.show(lab, selected_campaign(values)))


def load_settings(lab: LabContext, values: Values) -> Updates:
    view = service.show(lab, selected_campaign(values))
    settings = {"name": view.name, "overlap": view.plan.overlap, "guidelines": view.plan.guidelines}
    return in_section(settings, "settings")


def save_settings(lab: LabContext, values: Values) -> Updates:
    fields = section(values, "settings")
    view = service.change(
        lab,
        selected_campaign(values),
        name=fields["name"] or "",
        guidelines=fields["guidelines"] or "",
        overlap=int(fields["overlap"] or 0),
    )
    notice("Saved.")
    return render(lab, view)


def selected_campaign(values: Values) -> int:
    """The id of the selected campaign; raises LabError where none is."""
    if values["campaign"] is None:
        raise LabError("No campaign is selected; select one in the list, or create one under New campaign.")
    return int(values["campaign"])
