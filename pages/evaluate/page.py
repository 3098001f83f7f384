"""Evaluation: systems measured side by side, with intervals, tests, and every prediction to read."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import evaluation as service
from pages.components import jobstrip
from pages.components.forms import Form
from pages.components.head import PLAIN, page_head
from pages.components.loading import number_of
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values
from pages.evaluate import new, results, rows

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


LISTED = ["drawn_state", "list"]


def build(lab: LabContext) -> None:
    page_head(TITLE, "Measure systems side by side: intervals, paired tests, and every prediction to read.")
    form = Form(run_id=gr.State(None), drawn_state=gr.State(""))
    jobstrip.build(lab, ("evaluate", "matrix", "harness"))
    form.add(list=gr.HTML("", js_on_load=OPEN, apply_default_css=False, elem_classes=PLAIN, elem_id="ev-list"))
    with gr.Tabs(elem_id="ev-tabs") as tabs:
        form.add(tabs=tabs)
        with gr.Tab("Figures", id="figures"):
            results.build(lab, form)
        with gr.Tab("Read", id="read"):
            rows.build(lab, form)
        with gr.Tab("New", id="new"):
            new.build(lab, form)
    _wire(lab, form)


def _wire(lab: LabContext, form: Form) -> None:
    selection = Selection(key=lambda arguments: arguments[0]["run_id"])
    overview = [*LISTED, *results.OVERVIEW, *rows.CHOICES]

    def draw_figures_and_rows(event: Any) -> None:
        figures = form.on(
            event, selection.for_choice(results.render, lab), inputs=results.INPUTS, outputs=results.PANELS
        )
        draw_rows(figures.success)

    def draw_rows(event: Any) -> None:
        form.on(event, selection.for_choice(rows.first_page, lab), inputs=rows.INPUTS, outputs=rows.PANELS)

    form.on_load(load_page, lab, outputs=["tabs", "run_id", *overview])
    form.on(form["list"].select, select_evaluation, outputs=["run_id"])
    cleared = [*overview, *results.PANELS, *rows.PANELS]
    switched = form.on(
        form["run_id"].change, selection.on_choice(show_evaluation, lab), inputs=["run_id"], outputs=cleared
    )
    draw_figures_and_rows(switched.success)
    # A late tick must not undo a selection, so it never says which evaluation is open.
    tick = selection.for_choice(refresh, lab)
    form.on(gr.Timer(2).tick, tick, inputs=["run_id", "drawn_state"], outputs=overview)
    # Only changes are drawn again, so that a row that somebody reads stays.
    draw_figures_and_rows(form["drawn_state"].change)
    draw_rows(form["figure"].input)


def load_page(lab: LabContext, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?evaluation=ID, else the newest; New where there is none, or ?dataset=."""
    run_id = number_of(request.query_params.get("evaluation"))
    new_for_dataset = run_id is None and bool(request.query_params.get("dataset"))
    if run_id is None:
        run_id = next((view.id for view in service.find(lab, 1)), None)
    tab = "new" if run_id is None or new_for_dataset else "figures"
    return {"tabs": gr.update(selected=tab), "run_id": run_id, **render(lab, run_id)}


def select_evaluation(event: gr.EventData) -> Updates:
    return {"run_id": int(event.id)}


def show_evaluation(lab: LabContext, values: Values) -> Updates:
    """The selected evaluation, with panels emptied of the figures and rows of the last one."""
    return {**render(lab, values["run_id"]), **results.EMPTY_PANELS, **rows.EMPTY_PANELS}


def refresh(lab: LabContext, values: Values) -> Updates:
    """Draws again while figures come in."""
    run_id = values["run_id"]
    return {} if _state(lab, run_id) == values["drawn_state"] else render(lab, run_id)


def render(lab: LabContext, run_id: int | None) -> Updates:
    """The list and the overview of the open evaluation."""
    return {
        "drawn_state": _state(lab, run_id),
        "list": _list(service.find(lab), run_id),
        **results.overview(lab, run_id),
        **rows.choices(lab, run_id),
    }


def _state(lab: LabContext, run_id: int | None) -> str:
    """What the overview shows, as one text; the page is drawn again when it changes."""
    scores = len(service.show(lab, run_id).scores) if run_id else 0
    return repr((run_id, [(view.id, view.status) for view in service.find(lab)], scores))


def _list(views: Sequence[service.EvaluationView], opened: int | None) -> str:
    if not views:
        return ""
    lines = "".join(_line(view, view.id == opened) for view in views)
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Evaluation", "Dataset", "Systems", "When (UTC)", "Status")
    )
    return (
        '<details class="list" open><summary>Evaluations</summary><div class="grid-scroll" tabindex="0" role="region" '
        f'aria-label="Evaluations"><table class="grid runs"><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div></details>"
    )


def _line(view: service.EvaluationView, opened: bool) -> str:
    link = f'<a href="?evaluation={view.id}" data-evaluation="{view.id}">{view.id}: {html.escape(view.title)}</a>'
    names = html.escape(", ".join(system.label for system in view.systems))
    mark = ' class="picked" aria-current="true"' if opened else ""
    return (
        f"<tr{mark}><td>{link}</td><td>{html.escape(view.dataset)}</td><td><span>{names}</span></td>"
        f"<td>{view.created_at:%Y-%m-%d %H:%M}</td><td>{html.escape(view.status)}</td></tr>"
    )
