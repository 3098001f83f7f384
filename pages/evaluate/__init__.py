"""Evaluation: systems measured side by side, with intervals, tests, and every prediction to read."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import evaluation as service
from pages.components import jobstrip
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN, page_head
from pages.components.opening import number_of, on_open
from pages.components.selection import Selection
from pages.evaluate import new, reading, results

TITLE = "Evaluate"
ROUTE = "evaluate"
OPEN = """
element.addEventListener('click', event => {
  const link = event.target.closest('a[data-evaluation]');
  if (!link || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  history.replaceState(null, '', location.pathname + '?evaluation=' + link.dataset.evaluation);
  trigger('select', { id: link.dataset.evaluation });
});
"""
Update = Any


def build(lab: LabContext) -> None:
    page_head(TITLE, "Measure systems side by side: intervals, paired tests, and every prediction to read.")
    opened, seen = gr.State(None), gr.State("")
    jobstrip.build(lab, ("evaluate", "matrix", "harness"))
    listed = gr.HTML("", js_on_load=OPEN, apply_default_css=False, elem_classes=PLAIN, elem_id="ev-list")
    with gr.Tabs(elem_id="ev-tabs") as tabs:
        with gr.Tab("Figures", id="figures"):
            shown = results.Results(lab, opened)
        with gr.Tab("Read", id="read"):
            inputs, drawn, sides = reading.build(lab, opened, shown.figure)
        with gr.Tab("New", id="new"):
            new.build(lab, opened, tabs)
    outputs = [opened, seen, listed, *shown.outputs, *sides]

    on_open(arrived, [tabs, *outputs], lab)
    selection = Selection()
    listed.select(guarded(chosen), None, opened, **PRIVATE)
    cleared = [*outputs[1:], *shown.drawn, *drawn]
    figures = (selection.for_choice(results.draw, lab), [*shown.chosen, shown.view], shown.drawn)
    rows = (selection.for_choice(reading.draw, lab, 0), inputs, drawn)
    opened.change(selection.on_choice(switched, lab), opened, cleared, **PRIVATE).success(*figures, **PRIVATE).success(
        *rows, **PRIVATE
    )
    # A tick that is late must not undo a choice, so it never says what is open.
    gr.Timer(2).tick(selection.for_choice(ticked, lab), [opened, seen], outputs[1:], **PRIVATE)
    # Only what is new is drawn again, so that a row that is being read stays.
    seen.change(*figures, **PRIVATE).success(*rows, **PRIVATE)
    shown.figure.input(*rows, **PRIVATE)


def arrived(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?evaluation=ID, else the newest; New where there is none, or ?dataset=."""
    asked = number_of(request.query_params.get("evaluation"))
    found = service.find(lab, 1)
    run = asked if asked is not None else found[0].id if found else None
    begin = run is None or (asked is None and request.query_params.get("dataset"))
    return gr.update(selected="new" if begin else "figures"), *drawing(lab, run)


def chosen(event: gr.EventData) -> int:
    return int(event.id)


def switched(lab: LabContext, run_id: int | None) -> Sequence[Update]:
    """The evaluation that was chosen, over panels without the figures and rows of the last one."""
    return [*drawing(lab, run_id)[1:], "", gr.update(value=None), reading.EMPTY, "", 0]


def ticked(lab: LabContext, run_id: int | None, seen: str) -> Sequence[Update]:
    """Draws again while figures come in."""
    mark = _mark(lab, run_id)
    return gr.skip() if mark == seen else drawing(lab, run_id)[1:]


def drawing(lab: LabContext, run_id: int | None) -> Sequence[Update]:
    return (
        run_id,
        _mark(lab, run_id),
        _list(service.find(lab), run_id),
        *results.overview(lab, run_id),
        *reading.sides(lab, run_id),
    )


def _mark(lab: LabContext, run_id: int | None) -> str:
    found = service.find(lab)
    scores = len(service.show(lab, run_id).scores) if run_id else 0
    return repr((run_id, [(one.id, one.status) for one in found], scores))


def _list(found: Sequence[service.EvaluationView], opened: int | None) -> str:
    if not found:
        return ""
    rows = "".join(_line(one, one.id == opened) for one in found)
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Evaluation", "Dataset", "Systems", "When (UTC)", "Status")
    )
    return (
        '<details class="list" open><summary>Evaluations</summary><div class="grid-scroll" tabindex="0" role="region" '
        f'aria-label="Evaluations"><table class="grid runs"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _line(one: service.EvaluationView, opened: bool) -> str:
    link = f'<a href="?evaluation={one.id}" data-evaluation="{one.id}">{one.id}: {html.escape(one.title)}</a>'
    names = html.escape(", ".join(system.label for system in one.systems))
    mark = ' class="picked" aria-current="true"' if opened else ""
    return (
        f"<tr{mark}><td>{link}</td><td>{html.escape(one.dataset)}</td><td><span>{names}</span></td>"
        f"<td>{one.created_at:%Y-%m-%d %H:%M}</td><td>{html.escape(one.status)}</td></tr>"
    )
