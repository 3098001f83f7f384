"""The tab "Items": what annotators differ about and what the lead decides, and every item with its candidates."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import feedback as service
from genai_lab.services.feedback import figures, reading
from pages.components.errors import PRIVATE, notice
from pages.components.head import piece
from pages.components.selection import Selection

Update = Any
PAGE = 25
DISPUTES = """
{{#if value.waiting}}<p class="quiet" role="status">Reading the items of {{value.waiting}}…</p>
{{else if value.rows.length}}<p class="panel-note" role="status">Disputed in <b>{{value.campaign}}</b></p>
<ol class="disputes">{{#each value.rows}}<li data-item="{{this.item}}"><header><b>Item
{{this.number}}</b><span>{{this.share}} of pairs of annotators disagree</span>{{#if this.decided}}<span class="better">
Decided: {{this.decided}}</span><button type="button" data-do="undo">Take back</button>{{/if}}</header>
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
<th scope="col">Item</th><th scope="col">Prompt</th><th scope="col">Annotator</th><th scope="col">What</th>
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


class Items:
    """`drawn` are the outputs of `draw`."""

    def __init__(self, lab: LabContext, opened: gr.State, selection: Selection) -> None:
        self.place = gr.State(0)
        self.named = gr.Checkbox(
            False,
            label="Show systems and votes",
            info="Hidden, so that who decides is as blind as who annotates.",
            elem_id="fb-named",
        )
        with gr.Tabs(elem_id="fb-item-tabs"):
            with gr.Tab("In dispute"):
                self.disputed = piece({"rows": []}, DISPUTES, "fb-disputes", DECIDE, sheet="feedback.css")
            with gr.Tab("Flags, skips, comments"):
                self.noted = piece({"rows": []}, NOTED, "fb-noted", sheet="feedback.css")
            with gr.Tab("All items"):
                self.table = piece({"rows": []}, TABLE, "fb-items", sheet="feedback.css")
                with gr.Row(elem_classes=["actions"]):
                    newer = gr.Button("Previous", size="sm", scale=0, min_width=70, elem_id="fb-items-previous")
                    older = gr.Button("Next", size="sm", scale=0, min_width=70, elem_id="fb-items-next")
        self.drawn = [self.place, self.disputed, self.noted, self.table]
        wanted, answers = [opened, self.place, self.named], selection.for_choice
        newer.click(answers(previous_page, lab), wanted, self.drawn, **PRIVATE)
        older.click(answers(next_page, lab), wanted, self.drawn, **PRIVATE)
        self.named.input(answers(redraw, lab), wanted, self.drawn, **PRIVATE)
        self.disputed.submit(answers(decide, lab), wanted, self.drawn, **PRIVATE)
        self.disputed.retry(answers(undo_decision, lab), wanted, self.drawn, **PRIVATE)


def cleared(campaign: str) -> Sequence[Update]:
    return [0, {"rows": [], "waiting": campaign}, {"rows": []}, {"rows": []}]


def draw(
    lab: LabContext, view: service.CampaignView | None, place: int, whole: bool, named: bool = False
) -> Sequence[Update]:
    """With `whole`, what is not turned page by page too; with `named`, which system wrote what and who voted how."""
    if view is None:
        return [0, {"rows": []}, {"rows": []}, {"rows": []}]
    rows = [_item(one, named) for one in reading.page(lab, view.id, place * PAGE, PAGE)]
    first = place * PAGE + 1
    count = f"Items {first:,} to {first + len(rows) - 1:,} of {view.items:,} of {view.name}, in the order given out"
    disputed = [_dispute(one, named) for one in figures.disputes(lab, view.id)] if whole else []
    return [
        place,
        {"rows": disputed, "campaign": view.name} if whole else gr.skip(),
        _noted(lab, view.id) if whole else gr.skip(),
        {"count": count, "rows": rows},
    ]


def _item(one: dict[str, Any], named: bool) -> dict[str, Any]:
    candidates = [
        {"name": option["system"] if named else chr(65 + n), "text": option["text"] if named else option["shown"]}
        for n, option in enumerate(one["candidates"])
    ]
    return {**one, "candidates": candidates}


def _noted(lab: LabContext, campaign: int) -> dict[str, Any]:
    found, total = reading.noted(lab, campaign)
    count = "1 answer is" if total == 1 else f"{total:,} answers are"
    more = f"; the newest {len(found):,} are shown" if total > len(found) else ""
    return {"count": f"{count} flagged, skipped or commented on{more}.", "rows": [asdict(one) for one in found]}


def redraw(lab: LabContext, campaign: int | None, place: int, named: bool) -> Sequence[Update]:
    return draw(lab, service.show(lab, campaign) if campaign is not None else None, place, True, named)


def previous_page(lab: LabContext, campaign: int | None, place: int, named: bool) -> Sequence[Update]:
    return _turned(lab, campaign, place - 1, named)


def next_page(lab: LabContext, campaign: int | None, place: int, named: bool) -> Sequence[Update]:
    return _turned(lab, campaign, place + 1, named)


def _turned(lab: LabContext, campaign: int | None, place: int, named: bool) -> Sequence[Update]:
    if campaign is None:
        return draw(lab, None, 0, True)
    view = service.show(lab, campaign)
    last = max(0, (view.items - 1) // PAGE)
    return draw(lab, view, min(max(place, 0), last), False, named)


def _dispute(one: figures.Dispute, named: bool) -> dict[str, Any]:
    """One item for the page; nothing of its systems and votes is sent unless `named`."""
    letters = {candidate: chr(65 + n) for n, (candidate, _, _) in enumerate(one.candidates)}
    texts = [text for _, _, text in one.candidates] if named else one.masked
    return {
        "item": one.item,
        "number": one.number,
        "share": f"{100 * one.share:.0f} %",
        "prompt": one.prompt[:2000],
        "candidates": [
            {"letter": letters[candidate], "system": system if named else "", "text": text[:2000]}
            for (candidate, system, _), text in zip(one.candidates, texts, strict=True)
        ],
        "answers": [
            {"name": name, "order": order, "comment": comment} for name, order, comment in one.answers if named
        ],
        "decided": figures.order_text(one.verdict["groups"], letters) if one.verdict else "",
        "example": " > ".join(letters.values()),
    }


def decide(lab: LabContext, campaign: int | None, place: int, named: bool, event: gr.EventData) -> Sequence[Update]:
    item = int(event.item)
    figures.adjudicate(lab, item, _order(lab, item, str(event.order)))
    notice("The item is decided; exports take this instead of its votes.")
    return draw(lab, service.show(lab, campaign or 0), place, True, named)


def undo_decision(
    lab: LabContext, campaign: int | None, place: int, named: bool, event: gr.EventData
) -> Sequence[Update]:
    figures.undecide(lab, int(event.item))
    return draw(lab, service.show(lab, campaign or 0), place, True, named)


def _order(lab: LabContext, item: int, text: str) -> list[list[int]]:
    """A > B = C as groups of candidate ids; raises LabError."""
    ids = reading.candidates(lab, item)
    letters = {chr(65 + n): one for n, one in enumerate(ids)}
    groups = [[part.strip().upper() for part in group.split("=")] for group in text.split(">")]
    if not all(part in letters for group in groups for part in group):
        raise LabError(f"{text[:60]!r} is no order; write {' > '.join(letters)}, with = between equal candidates.")
    return [[letters[part] for part in group] for group in groups]
