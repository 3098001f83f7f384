"""The tab "Progress": the campaign's state, who annotates, how far each is, and their links."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import feedback as service
from genai_lab.services.feedback import figures, links, systems
from pages.components.confirm import Confirm
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import piece
from pages.components.selection import Selection
from pages.components.stats import NOTHING, seconds_text

Update = Any
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
<p>Write a name above and invite: each annotator gets a personal link that opens nothing but their cards.</p></div>
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


class Progress:
    """`drawn` are the outputs of `draw`."""

    def __init__(self, lab: LabContext, opened: gr.State, selection: Selection) -> None:
        self.detail = piece({}, DETAIL, "fb-detail", sheet="feedback.css")
        with gr.Row(elem_classes=["actions"]):
            names = ("Open", "Pause", "Close", "Reopen", "Discard")
            self.buttons = [
                gr.Button(
                    name,
                    size="sm",
                    scale=0,
                    min_width=70,
                    visible=False,
                    variant="primary" if name == "Open" else "secondary",
                    elem_id=f"fb-{name.lower()}",
                )
                for name in names
            ]
        self.surely = Confirm("Discard", "fb-confirm")
        with gr.Row(visible=False, elem_classes=["actions", "fb-invite"]) as self.invite:
            name = gr.Textbox(
                label="Invite annotators",
                info="Names with commas; each gets a personal link.",
                max_lines=1,
                elem_id="fb-name",
            )
            add = gr.Button("Invite", size="sm", scale=0, min_width=80, elem_id="fb-invite")
        self.people = piece({"rows": []}, PEOPLE, "fb-people", LINKS, sheet="feedback.css")
        with gr.Accordion("Name, guidelines and overlap", open=False, visible=False, elem_id="fb-words") as self.words:
            with gr.Row():
                title = gr.Textbox(label="Name", max_lines=1, elem_id="fb-rename")
                overlap = gr.Number(
                    1, precision=0, label="Overlap", info="Annotators an item; it can grow.", elem_id="fb-overlap-now"
                )
            guidelines = gr.Textbox(
                label="Guidelines", info="Annotators have them at hand.", lines=4, elem_id="fb-guidelines-now"
            )
            save = gr.Button("Save", size="sm", scale=0, min_width=70, elem_id="fb-save-words")
        self.drawn = [self.detail, *self.buttons, self.invite, self.people, self.words]
        answers = selection.for_choice
        for button, status in zip(self.buttons[:4], ("open", "paused", "closed", "open"), strict=True):
            button.click(answers(moved, lab, status), opened, self.drawn, **PRIVATE)
        self.buttons[4].click(guarded(ask, lab, self.surely), opened, self.surely.outputs, **PRIVATE)
        self.surely.yes.click(guarded(discarded, lab), opened, opened, **PRIVATE).then(
            self.surely.close, None, self.surely.outputs, **PRIVATE
        )
        add.click(answers(invited, lab), [opened, name], [name, *self.drawn], **PRIVATE)
        name.submit(answers(invited, lab), [opened, name], [name, *self.drawn], **PRIVATE)
        self.people.retry(answers(renewed, lab), opened, self.drawn, **PRIVATE)
        self.people.cancel(answers(revoked, lab), opened, self.drawn, **PRIVATE)
        self.words.expand(answers(words, lab), opened, [title, overlap, guidelines], **PRIVATE)
        save.click(answers(saved, lab), [opened, title, overlap, guidelines], self.drawn, **PRIVATE)


def draw(lab: LabContext, view: service.CampaignView | None) -> Sequence[Update]:
    status = view.status if view else ""
    shown = {
        "Open": status == "draft" and not (view and view.got >= view.wanted > 0),
        "Pause": status == "open",
        "Close": status in ("open", "paused"),
        "Reopen": status in ("paused", "closed"),
        "Discard": bool(view and not view.got),
    }
    return [
        _detail(lab, view) if view else {},
        *(gr.update(visible=visible) for visible in shown.values()),
        gr.update(visible=bool(view)),
        _people(lab, view) if view else {"rows": []},
        gr.update(visible=bool(view)),
    ]


def _detail(lab: LabContext, view: service.CampaignView) -> dict[str, Any]:
    people = figures.progress(lab, view.id)
    paces = [one.seconds_per_item for one in people if one.seconds_per_item]
    pace = sum(paces) / len(paces) if paces else None
    left = max(0, view.wanted - view.got)
    facts = [
        ("Answers", f"{view.got:,} of {view.wanted:,} ({100 * min(1.0, view.share):.0f} %)"),
        ("Items", f"{view.items:,}"),
        ("Overlap", f"{view.plan.overlap} annotator{'s' if view.plan.overlap > 1 else ''} an item"),
        ("Kind", f"{view.plan.kind}, ties {'allowed' if view.plan.ties else 'not allowed'}"),
        ("Pace", f"{seconds_text(pace)} an item" if pace else NOTHING),
        ("Work left", f"{seconds_text(pace * left)} in all" if pace and left else NOTHING),
        ("Shown twice", _repeats(view, sum(one.repeats for one in people))),
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
    few = "; too few items for more than chance to show one" if expected < 1 and not count else ""
    return f"{count:,} of {view.items:,} items so far ({100 * view.plan.repeats:.0f} % wanted, sides swapped){few}"


def _warning(lab: LabContext, view: service.CampaignView) -> str:
    """What stands in the way of a leaderboard, told before anybody has ranked."""
    return systems.of(lab, view.id).problem if view.items else ""


def _next(view: service.CampaignView) -> str:
    if view.problem:
        return view.problem
    if not view.items and view.status == "open":
        return "Its items come from the visitors of its demo."
    if view.status == "making":
        return "Its candidates are being drawn; the strip above tells how far."
    if view.got >= view.wanted > 0:
        return "Every item has its answers. Next: agreement, leaderboard, and a reward model."
    if not view.annotators:
        return "Next: invite annotators, yourself among them, and open the campaign."
    if view.status == "draft" and view.got < view.wanted:
        return "Next: open the campaign; until then the links say that it has not begun."
    return ""


def _people(lab: LabContext, view: service.CampaignView) -> dict[str, Any]:
    paths = {one.annotator: one for one in links.invited(lab, view.id)}
    rows = []
    for one in figures.progress(lab, view.id):
        link = paths.get(one.id)
        rows.append(
            {
                "id": one.id,
                "name": one.name,
                "done": f"{one.done:,}",
                "skipped": f"{one.skipped:,}",
                "flagged": f"{one.flagged:,}",
                "pace": seconds_text(one.seconds_per_item) if one.seconds_per_item else NOTHING,
                "gold": f"{100 * one.gold:.0f} %" if one.gold is not None else NOTHING,
                "path": link.path if link and not link.revoked else "",
                "note": "visitor" if one.visitor else "ended",
                "ended": not one.visitor,
            }
        )
    return {"id": view.id, "rows": rows}


def moved(lab: LabContext, status: str, campaign: int | None) -> Sequence[Update]:
    return draw(lab, service.move(lab, _known(campaign), status))


def ask(lab: LabContext, surely: Confirm, campaign: int | None) -> Sequence[Update]:
    view = service.show(lab, _known(campaign))
    items = f"{view.items:,} item{'s' if view.items != 1 else ''}"
    return surely.ask(f"Discard {view.name} with its {items}? Its links will open nothing.")


def discarded(lab: LabContext, campaign: int | None) -> int | None:
    view = service.show(lab, _known(campaign))
    service.discard(lab, view.id)
    notice(f"{view.name} is discarded.")
    found = service.find(lab)
    return found[0].id if found else None


def invited(lab: LabContext, campaign: int | None, names: str) -> Sequence[Update]:
    wanted = [name.strip() for name in (names or "").split(",") if name.strip()]
    if not wanted:
        raise LabError("No name is given; write the annotators' names with commas between them.")
    for name in wanted:
        links.invite(lab, _known(campaign), name)
    return ["", *draw(lab, service.show(lab, _known(campaign)))]


def renewed(lab: LabContext, campaign: int | None, event: gr.EventData) -> Sequence[Update]:
    made = links.renew(lab, int(event.id))
    notice(f"{made.name} has a new link; the old one opens nothing any more.")
    return draw(lab, service.show(lab, _known(campaign)))


def revoked(lab: LabContext, campaign: int | None, event: gr.EventData) -> Sequence[Update]:
    made = links.renew(lab, int(event.id), revoke=True)
    notice(f"The link of {made.name} has ended; what was answered stays.")
    return draw(lab, service.show(lab, _known(campaign)))


def words(lab: LabContext, campaign: int | None) -> Sequence[Update]:
    view = service.show(lab, _known(campaign))
    return view.name, view.plan.overlap, view.plan.guidelines


def saved(lab: LabContext, campaign: int | None, name: str, overlap: float | None, guidelines: str) -> Sequence[Update]:
    view = service.change(
        lab, _known(campaign), name=name or "", guidelines=guidelines or "", overlap=int(overlap or 0)
    )
    notice("Saved.")
    return draw(lab, view)


def _known(campaign: int | None) -> int:
    if campaign is None:
        raise LabError("No campaign is chosen; choose one in the list, or make one under New campaign.")
    return campaign
