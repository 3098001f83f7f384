"""The tab "Items": items that annotators rank differently, what the owner decides, and every item."""

from dataclasses import asdict
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import feedback as service
from genai_lab.services.feedback import figures, reading
from pages.components.errors import notice
from pages.components.forms import Form, in_section
from pages.components.head import html_part
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values

PAGE_SIZE = 25
DISPUTES = """
{{#if value.waiting}}<p class="quiet" role="status">Reading the items of {{value.waiting}}…</p>
{{else if value.rows.length}}<p class="panel-note" role="status">Disputed in <b>{{value.campaign}}</b></p>
<ol class="disputes">{{#each value.rows}}<li data-item="{{this.item}}"><header><b>Item
{{this.number}}</b><span>{{this.share}} of pairs of annotators disagree</span>{{#if this.decided}}<span class="better">
Decided: {{this.decided}}</span><button type="button" data-do="undo">Undo</button>{{/if}}</header>
<p class="asked">{{this.prompt}}</p><div class="sides">{{#each this.candidates}}<div><b>{{this.letter}}</b>
{{#if this.system}}<small>{{this.system}}</small>{{/if}}<p>{{this.text}}</p></div>{{/each}}</div>
<ul>{{#each this.answers}}<li><b>{{this.name}}</b> {{this.order}}{{#if this.comment}} <q>{{this.comment}}</q>{{/if}}
</li>
{{/each}}</ul><form><label>Decide <input name="order" placeholder="{{this.example}}"
aria-label="Order of item {{this.number}}" autocomplete="off"></label>
<button type="submit">Save decision</button></form>
</li>{{/each}}</ol>{{else}}<div class="empty-state"><b>Nothing is in dispute</b>
<p>Items that annotators rank differently
are listed here, the most disputed first, for you to decide.</p></div>{{/if}}
"""
DECIDE = """
element.addEventListener('submit', event => {
  event.preventDefault();
  const form = event.target, item = form.closest('li[data-item]').dataset.item;
  trigger('submit', { item, order: form.elements.order.value });
});
element.addEventListener('click', event => {
  const button = event.target.closest('[data-do=undo]');
  if (button) trigger('retry', { item: button.closest('li[data-item]').dataset.item });
});
"""
NOTED = """
{{#if value.rows.length}}<p class="quiet" role="status">{{value.count}}</p><div class="grid-scroll" tabindex="0"
role="region" aria-label="Flagged, skipped and commented"><table class="grid fb-table fb-noted"><thead><tr>
<th scope="col">Item</th><th scope="col">Prompt</th><th scope="col">Annotator</th><th scope="col">Kind</th>
<th scope="col">Comment</th></tr></thead><tbody>{{#each value.rows}}<tr>
<td>{{this.number}}</td><td><p>{{this.prompt}}</p>
</td><td>{{this.annotator}}</td><td>{{this.what}}</td><td><p>{{this.comment}}</p></td></tr>{{/each}}</tbody></table>
</div>{{else}}<div class="empty-state"><b>Nothing is flagged or skipped</b><p>What annotators flag, skip or comment on
is listed here, the newest first.</p></div>{{/if}}
"""
TABLE = """
{{#if value.rows.length}}<p class="quiet" role="status">{{value.count}}</p><div class="grid-scroll" tabindex="0"
role="region" aria-label="Items"><table class="grid fb-table"><thead><tr><th scope="col">Item</th>
<th scope="col">Prompt</th><th scope="col">Candidates</th><th scope="col">Answers</th></tr></thead><tbody>
{{#each value.rows}}<tr><td>{{this.number}}</td><td><p>{{this.prompt}}</p></td><td>{{#each this.candidates}}<p><small>
{{this.name}}</small> {{this.text}}</p>{{/each}}</td><td>{{this.answers}}</td></tr>{{/each}}</tbody></table></div>
{{/if}}
"""


INPUTS = ["campaign", "items.page", "items.named"]
PANELS = ["items.page", "items.disputed", "items.noted", "items.table"]


def build(lab: LabContext, form: Form, selection: Selection) -> None:
    """Draws the tab and adds its components to the page's form."""
    named = gr.Checkbox(
        False,
        label="Show systems and votes",
        info="Hidden by default, so that you decide as blind as the annotators.",
        elem_id="fb-named",
    )
    with gr.Tabs(elem_id="fb-item-tabs"):
        with gr.Tab("In dispute"):
            disputed = html_part({"rows": []}, DISPUTES, "fb-disputes", DECIDE, sheet="feedback.css")
        with gr.Tab("Flags, skips, comments"):
            noted = html_part({"rows": []}, NOTED, "fb-noted", sheet="feedback.css")
        with gr.Tab("All items"):
            table = html_part({"rows": []}, TABLE, "fb-items", sheet="feedback.css")
            with gr.Row(elem_classes=["actions"]):
                previous = gr.Button("Previous", size="sm", scale=0, min_width=70, elem_id="fb-items-previous")
                following = gr.Button("Next", size="sm", scale=0, min_width=70, elem_id="fb-items-next")
    components = {"page": gr.State(0), "named": named, "disputed": disputed, "noted": noted, "table": table}
    form.add(in_section(components, "items"))
    handlers = (
        (previous.click, turn_page, (lab, -1)),
        (following.click, turn_page, (lab, 1)),
        (named.input, redraw, (lab,)),
        (disputed.submit, decide, (lab,)),
        (disputed.retry, undo_decision, (lab,)),
    )
    for event, handler, bound in handlers:
        form.on(event, selection.for_choice(handler, *bound), inputs=INPUTS, outputs=PANELS)


def empty_panels(campaign: str) -> Updates:
    """Panels that wait for the items of this campaign."""
    return in_section(
        {"page": 0, "disputed": {"rows": [], "waiting": campaign}, "noted": {"rows": []}, "table": {"rows": []}},
        "items",
    )


def render(lab: LabContext, view: service.CampaignView | None, page: int, named: bool) -> Updates:
    """All panels; with `named` they say which system wrote what and who voted how."""
    if view is None:
        return empty_panels("")
    disputes = [_dispute(dispute, named) for dispute in figures.disputes(lab, view.id)]
    return {
        **_page(lab, view, page, named),
        "items.disputed": {"rows": disputes, "campaign": view.name},
        "items.noted": _remark_rows(lab, view.id),
    }


def _page(lab: LabContext, view: service.CampaignView, page: int, named: bool) -> Updates:
    rows = [_item(item, named) for item in reading.page(lab, view.id, page * PAGE_SIZE, PAGE_SIZE)]
    first = page * PAGE_SIZE + 1
    count = f"Items {first:,} to {first + len(rows) - 1:,} of {view.items:,} of {view.name}, in the order of assignment"
    return {"items.page": page, "items.table": {"count": count, "rows": rows}}


def _item(item: dict[str, Any], named: bool) -> dict[str, Any]:
    candidates = [
        {"name": option["system"] if named else chr(65 + n), "text": option["text"] if named else option["shown"]}
        for n, option in enumerate(item["candidates"])
    ]
    return {**item, "candidates": candidates}


def _remark_rows(lab: LabContext, campaign: int) -> dict[str, Any]:
    answers, total = reading.find_remarks(lab, campaign)
    count = "1 answer is" if total == 1 else f"{total:,} answers are"
    limit = f"; the newest {len(answers):,} are shown" if total > len(answers) else ""
    rows = [asdict(answer) for answer in answers]
    return {"count": f"{count} flagged, skipped or commented on{limit}.", "rows": rows}


def redraw(lab: LabContext, values: Values) -> Updates:
    view = service.show(lab, values["campaign"]) if values["campaign"] is not None else None
    return render(lab, view, values["items.page"], values["items.named"])


def turn_page(lab: LabContext, step: int, values: Values) -> Updates:
    if values["campaign"] is None:
        return empty_panels("")
    view = service.show(lab, values["campaign"])
    last = max(0, (view.items - 1) // PAGE_SIZE)
    return _page(lab, view, min(max(values["items.page"] + step, 0), last), values["items.named"])


def _dispute(dispute: figures.Dispute, named: bool) -> dict[str, Any]:
    """One item for the page; its systems and votes are sent only with `named`."""
    letters = {candidate: chr(65 + n) for n, (candidate, _, _) in enumerate(dispute.candidates)}
    texts = [text for _, _, text in dispute.candidates] if named else dispute.masked
    return {
        "item": dispute.item,
        "number": dispute.number,
        "share": f"{100 * dispute.share:.0f} %",
        "prompt": dispute.prompt[:2000],
        "candidates": [
            {"letter": letters[candidate], "system": system if named else "", "text": text[:2000]}
            for (candidate, system, _), text in zip(dispute.candidates, texts, strict=True)
        ],
        "answers": [
            {"name": name, "order": order, "comment": comment} for name, order, comment in dispute.answers if named
        ],
        "decided": figures.order_text(dispute.verdict["groups"], letters) if dispute.verdict else "",
        "example": " > ".join(letters.values()),
    }


def decide(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    item = int(event.item)
    figures.adjudicate(lab, item, reading.order_groups(lab, item, str(event.order)))
    notice("The item is decided; exports use the decision instead of its votes.")
    return redraw(lab, values)


def undo_decision(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    figures.undecide(lab, int(event.item))
    return redraw(lab, values)
