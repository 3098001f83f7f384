"""The tab "Rollouts": what the policy wrote at each step, what it earned, and every token of it."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.alignment.records import EVALUATIONS, ROLLOUTS, RolloutBatch
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import alignment
from genai_lab.services.alignment import ORDERS, Frame, Rollout, TokenFigures
from pages.align import tokens
from pages.align.panels import number_text
from pages.align.runs import SHEET, policy_run
from pages.components.copying import download_computed
from pages.components.forms import Form, Updates, Values
from pages.components.head import html_part
from pages.components.selection import Selection

LISTED = 64
KINDS = {"learned from": ROLLOUTS, "held-out prompts": EVALUATIONS}
LIST = """
{{#if value.note}}<p class="panel-note" role="status">{{value.note}}</p>{{/if}}
{{#if value.rows.length}}<div class="grid-scroll ro-scroll" tabindex="0" role="region"
aria-label="Completions of the step"><table class="grid ro-list" data-step="{{value.step}}"><thead><tr>
<th scope="col">No.</th><th scope="col">Prompt</th><th scope="col">Completion</th><th scope="col">Score</th>
<th scope="col">KL</th><th scope="col">Tokens</th><th scope="col">End</th></tr></thead><tbody>
{{#each value.rows}}<tr data-index="{{this.index}}" class="{{#if this.picked}}picked{{/if}}"><td><button type="button"
aria-label="Read completion {{this.index}}">{{this.index}}</button></td><td><span>{{this.prompt}}</span></td>
<td><span>{{this.text}}</span></td><td>{{this.score}}</td><td>{{this.kl}}</td><td>{{this.tokens}}</td>
<td>{{this.end}}</td></tr>{{/each}}</tbody></table></div>{{/if}}
"""
LIST_SCRIPT = """
element.addEventListener('click', e => {
  const row = e.target.closest('tr[data-index]');
  if (row) trigger('select', { index: row.dataset.index });
});
"""
FILM = """
{{#if value.frames.length}}<div class="section-head"><h2>The same prompt over the steps</h2></div>
<div class="grid-scroll" tabindex="0" role="region" aria-label="The same prompt over the steps"><ol class="ro-film">
{{#each value.frames}}<li class="{{#if this.picked}}picked{{/if}}"><button type="button" data-step="{{this.step}}">
Step {{this.step}}</button><small>{{this.figures}}</small>{{#each this.texts}}<p>{{this}}</p>{{/each}}</li>{{/each}}
</ol></div>{{/if}}{{#if value.note}}<p class="panel-note">{{value.note}}</p>{{/if}}
"""
FILM_SCRIPT = """
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-step]');
  if (button) trigger('select', { step: button.dataset.step });
});
"""
REDRAWN = """{{#if value.text}}<div class="ro-redrawn" role="status"><p class="panel-note">{{value.note}}</p>
<p class="ro-text">{{value.text}}</p></div>{{/if}}"""
CHOICES = ("run", "ro.kind", "ro.step", "ro.order", "ro.cut", "ro.colour", "ro.index")
PANELS = ("ro.list", "ro.view", "ro.film", "ro.redraw", "ro.redrawn", "ro.index")
OUTPUTS = ("ro.mark", "ro.step", *PANELS)
NOTHING: Updates = {
    "ro.list": {"rows": []}, "ro.view": {}, "ro.film": {}, "ro.redrawn": {}, "ro.redraw": gr.update(visible=False),
    "ro.index": None,
}  # fmt: skip


def build(lab: LabContext, page: Form, selection: Selection) -> None:
    """Draws and wires the tab."""
    _draw_controls(page)
    page.add({"ro.list": html_part({"rows": []}, LIST, "al-list", LIST_SCRIPT, sheet=SHEET)})
    page.add({"ro.view": html_part({}, tokens.CARDS, "al-view", sheet=SHEET)})
    with gr.Row(elem_classes=["actions"]):
        button: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 120}
        page.add({"ro.redraw": gr.Button("Draw again", visible=False, elem_id="al-redraw", **button)})
        jsonl = gr.Button("Step as JSON Lines", elem_id="al-jsonl", **button)
        csv = gr.Button("Step as CSV", elem_id="al-csv", **button)
        whole = gr.Button("All steps as JSON Lines", elem_id="al-all-jsonl", **button)
    page.add({"ro.redrawn": html_part({}, REDRAWN, "al-redrawn", sheet=SHEET)})
    page.add({"ro.film": html_part({}, FILM, "al-film", FILM_SCRIPT, sheet=SHEET)})
    _wire(lab, page, selection)
    at = page.inputs(["run", "ro.kind", "ro.step"])
    download_computed(jsonl, page.reader(export, lab, "jsonl"), at, "rollouts.jsonl")
    download_computed(csv, page.reader(export, lab, "csv"), at, "rollouts.csv")
    download_computed(whole, page.reader(export_all, lab), at, "rollouts.jsonl")


def _draw_controls(page: Form) -> None:
    page.add({"ro.mark": gr.State(""), "ro.index": gr.State(None)})
    with gr.Row():
        kind = gr.Dropdown(
            list(KINDS.items()), value=ROLLOUTS, label="Completions",
            info="Those that were learned from, or of held-out prompts.", interactive=True, elem_id="al-kind",
        )  # fmt: skip
        step = gr.Slider(0, 1, 1, step=1, label="Step", interactive=True, elem_id="al-step")
        order = gr.Dropdown(list(ORDERS), value="as drawn", label="Order", interactive=True, elem_id="al-order")
        colour = gr.Dropdown(
            [(title, name) for name, title in tokens.COLOURS.items()], value="KL", label="Tokens by",
            interactive=True, elem_id="al-colour",
        )  # fmt: skip
    with gr.Row():
        cut = gr.Checkbox(False, label="Only those cut by length", elem_id="al-cut")
        follow = gr.Checkbox(True, label="Follow the newest step of a run that goes on", elem_id="al-follow")
    page.add({"ro.kind": kind, "ro.step": step, "ro.order": order, "ro.colour": colour})
    page.add({"ro.cut": cut, "ro.follow": follow})


def _wire(lab: LabContext, page: Form, selection: Selection) -> None:
    answer = selection.for_choice
    latest: dict[str, Any] = {"trigger_mode": "always_last"}
    opened = page.on(page["run"].change, answer(clear), inputs=["run"], outputs=PANELS)
    page.on(opened.success, answer(open_newest, lab), inputs=CHOICES, outputs=OUTPUTS)
    page.on(page["ro.kind"].input, answer(open_newest, lab), inputs=CHOICES, outputs=OUTPUTS, **latest)
    page.on(page["ro.step"].input, answer(on_step, lab), inputs=CHOICES, outputs=PANELS, **latest)
    for name in ("order", "cut"):
        page.on(page[f"ro.{name}"].input, answer(on_order, lab), inputs=CHOICES, outputs=PANELS, **latest)
    page.on(page["ro.colour"].input, answer(draw, lab), inputs=CHOICES, outputs=PANELS, **latest)
    page.on(page["ro.list"].select, on_select, outputs=["ro.index"], trigger_mode="multiple").then(
        page.handler(answer(draw, lab)), page.inputs(CHOICES), page.pick(PANELS), api_visibility="private",
        show_progress="hidden",
    )  # fmt: skip
    page.on(page["ro.film"].select, on_film, outputs=["ro.step"], trigger_mode="multiple").then(
        page.handler(answer(on_step, lab)), page.inputs(CHOICES), page.pick(PANELS), api_visibility="private",
        show_progress="hidden",
    )  # fmt: skip
    page.on(gr.Timer(1.5).tick, answer(on_tick, lab), inputs=[*CHOICES, "ro.mark", "ro.follow"], outputs=OUTPUTS)
    page.on(
        page["ro.redraw"].click, answer(redraw, lab), inputs=CHOICES, outputs=["ro.redrawn"],
        concurrency_id="models",
    )  # fmt: skip


def clear(values: Values) -> Updates:
    return NOTHING


def on_select(event: gr.EventData) -> Updates:
    return {"ro.index": int(event.index)}


def on_film(event: gr.EventData) -> Updates:
    return {"ro.step": int(event.step)}


def open_newest(lab: LabContext, values: Values) -> Updates:
    """The newest step of the chosen kind, and the slider over those that there are."""
    view = policy_run(lab, values["run"])
    at = alignment.steps(lab, view.id, values["ro.kind"]) if view else []
    mark = mark_of(values, at)
    if not at:
        note = "Completions appear here with the first step." if view else "Choose a run on the tab Runs."
        return {**NOTHING, "ro.mark": mark, "ro.list": {"rows": [], "note": note}}
    slider = gr.update(minimum=min(at[0], at[-1] - 1), maximum=at[-1], value=at[-1])
    return {"ro.mark": mark, "ro.step": slider, **_panels(lab, {**values, "ro.step": at[-1]}, at)}


def on_tick(lab: LabContext, values: Values) -> Updates:
    """What is new of a run that goes on: its newest step where it is followed, else the end of the slider alone."""
    view = policy_run(lab, values["run"])
    at = alignment.steps(lab, view.id, values["ro.kind"]) if view else []
    mark = mark_of(values, at)
    if values["ro.mark"] == mark:
        return {}
    if values["ro.follow"] or not at or values["ro.index"] is None:
        return open_newest(lab, values)
    return {"ro.mark": mark, "ro.step": gr.update(maximum=at[-1])}


def mark_of(values: Values, at: Sequence[int]) -> str:
    return repr((values["run"], values["ro.kind"], len(at), at[-1:]))


def on_step(lab: LabContext, values: Values) -> Updates:
    """Another step: held-out prompts stay, of others the first in the order is read."""
    return _panels(lab, values, _steps(lab, values))


def on_order(lab: LabContext, values: Values) -> Updates:
    """Another order or filter: its first completion is read."""
    return _panels(lab, {**values, "ro.index": None}, _steps(lab, values), keep=False)


def draw(lab: LabContext, values: Values) -> Updates:
    """The panels as they are chosen."""
    return _panels(lab, values, _steps(lab, values), keep=True)


def _steps(lab: LabContext, values: Values) -> list[int]:
    return alignment.steps(lab, values["run"], values["ro.kind"]) if policy_run(lab, values["run"]) else []


def _nearest(at: Sequence[int], values: Values) -> int:
    """The step that there is, nearest to where the slider stands."""
    wanted = int(values["ro.step"] or 0)
    return min(at, key=lambda number: (abs(number - wanted), number))


def _panels(lab: LabContext, values: Values, at: Sequence[int], keep: bool | None = None) -> Updates:
    """List, completions and film of the step that is nearest; `keep` says whether the chosen completion stays, which
    without it held-out prompts alone do.
    """
    if not at:
        return NOTHING
    run, kind = int(values["run"]), values["ro.kind"]
    step = _nearest(at, values)
    batch = alignment.read(lab, run, step, kind)
    rollouts = alignment.listed(batch, values["ro.order"], bool(values["ro.cut"]))
    index = values["ro.index"] if (kind == EVALUATIONS if keep is None else keep) else None
    if index is None or index >= len(batch):
        index = rollouts[0].index if rollouts else None
    if index is None:
        note = f"No completion of step {step:,} was cut by length."
        return {**NOTHING, "ro.list": {"rows": [], "step": step, "note": note}}
    return {
        "ro.list": _list(lab, run, step, rollouts, index, len(batch)),
        "ro.view": _view(lab, run, batch, index, values["ro.colour"]),
        "ro.film": _film(alignment.film(lab, run, batch, index, kind), step, kind),
        "ro.redraw": gr.update(visible=_can_redraw(lab, run, step, kind)),
        "ro.redrawn": {},
        "ro.index": index,
    }


def _list(lab: LabContext, run: int, step: int, rollouts: Sequence[Rollout], index: int, total: int) -> dict[str, Any]:
    view = policy_run(lab, run)
    title = f"Run {run}{f', {view.title}' if view else ''}"
    shown = rollouts[:LISTED]
    count = f"{len(shown):,} of {total:,}" if len(shown) < total else f"{total:,}"
    rows = [
        {
            "index": rollout.index, "prompt": rollout.prompt, "text": rollout.text,
            "score": number_text(rollout.score), "kl": f"{rollout.kl:.2f}", "tokens": rollout.tokens,
            "end": "ended" if rollout.ended else "cut", "picked": rollout.index == index,
        }
        for rollout in shown
    ]  # fmt: skip
    return {
        "rows": rows,
        "step": step,
        "note": f"{title}: {count} completions of step {step:,}; KL in nats per completion.",
    }


def _view(lab: LabContext, run: int, batch: RolloutBatch, index: int, colour: str) -> dict[str, Any]:
    rollouts = alignment.of_prompt(batch, index)
    figures: list[TokenFigures | None] = [None] * len(rollouts)
    waiting = ""
    try:
        figures = [alignment.tokens_of(lab, run, batch, rollout.index) for rollout in rollouts]
    except LabError as problem:
        waiting = str(problem)
    return {**tokens.cards(batch.step, rollouts, figures, colour, index), "waiting": waiting}


def _film(frames: Sequence[Frame], step: int, kind: str) -> dict[str, Any]:
    if len(frames) < 2:
        where = "choose held-out prompts, which are completed at every evaluation"
        note = f"This prompt was completed at this step alone; {where}." if kind == ROLLOUTS else ""
        return {"frames": [], "note": note}
    return {"frames": [_frame(frame, step) for frame in frames]}


def _frame(frame: Frame, step: int) -> dict[str, Any]:
    count = len(frame.rollouts)
    score, kl = (sum(getattr(one, name) for one in frame.rollouts) / count for name in ("score", "kl"))
    texts = [one.text for one in frame.rollouts[:2]]
    figures = f"score {score:.2f}, KL {kl:.2f} nats"
    return {"step": frame.step, "figures": figures, "texts": texts, "picked": frame.step == step}


def _can_redraw(lab: LabContext, run: int, step: int, kind: str) -> bool:
    view = policy_run(lab, run)
    return view is not None and alignment.policy_of(lab, view, step, kind) is not None


def redraw(lab: LabContext, values: Values) -> Updates:
    """The completion drawn once more by the policy that wrote it."""
    at = _steps(lab, values)
    if not at:
        raise LabError("No completion is chosen; choose a run on the tab Runs.")
    again = alignment.redraw(lab, values["run"], _nearest(at, values), values["ro.kind"], values["ro.index"] or 0)
    same = "all ids are the same" if again.same else "some ids differ"
    note = f"Drawn again by {again.model} from the same chance: {same} ({len(again.ids):,} tokens)."
    return {"ro.redrawn": {"note": note, "text": again.text or "(empty)"}}


def export(lab: LabContext, form: str, values: Values) -> str:
    at = _steps(lab, values)
    if not at:
        raise LabError("There is nothing to write yet; choose a run on the tab Runs.")
    return alignment.as_text(lab, values["run"], _nearest(at, values), values["ro.kind"], form)


def export_all(lab: LabContext, values: Values) -> str:
    if not _steps(lab, values):
        raise LabError("There is nothing to write yet; choose a run on the tab Runs.")
    return alignment.as_text(lab, values["run"], None, values["ro.kind"])
