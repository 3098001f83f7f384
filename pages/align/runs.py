"""The tab "Runs": every policy run, one of them watched."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import alignment, models, training
from genai_lab.services.training import TrainingView
from pages.align import charts, panels
from pages.components.confirm import Confirm
from pages.components.forms import Form, Updates, Values
from pages.components.head import html_part
from pages.components.selection import Selection
from pages.finetune import run_actions, run_panels
from pages.finetune.run_actions import BUTTONS

OUTPUTS = ("run_mark", "run_table", "detail", "links", *BUTTONS, "curves")
SHEET = "align.css"


def build(lab: LabContext, page: Form, selection: Selection) -> None:
    """Draws and wires the tab; "run" of the page is the run that is open."""
    page.add(
        run_mark=gr.State(""),
        run_table=html_part({"rows": []}, panels.TABLE, "al-runs", run_panels.TABLE_SCRIPT, sheet=SHEET),
        detail=html_part({}, run_panels.DETAIL, "al-detail", sheet=SHEET),
        links=html_part({}, panels.LINKS, "al-links", sheet=SHEET),
    )
    with gr.Row(elem_classes=["actions"]):
        page.add(
            {
                name: gr.Button(text, size="sm", scale=0, min_width=80, visible=False, elem_id=f"al-{name}")
                for name, text in BUTTONS.items()
            }
        )
    confirm = Confirm("Cancel run", "al-confirm", "Keep running")
    page.add(
        curves=gr.Plot(
            show_label=False, container=False, visible=False, elem_id="al-curves", elem_classes=["chart-scroll"]
        )
    )
    answer = selection.for_choice
    page.on(page["run_table"].select, on_select, outputs=["run"], trigger_mode="multiple")
    opened = page.on(page["run"].change, selection.on_choice(on_run, lab), inputs=["run"], outputs=OUTPUTS[1:])
    page.on(opened.success, answer(draw, lab), inputs=["run"], outputs=OUTPUTS)
    # A tick that is late must not undo a choice, so it never says what is open.
    page.on(gr.Timer(1.5).tick, answer(on_tick, lab), inputs=["run", "run_mark"], outputs=OUTPUTS)
    run_actions.wire(lab, page, confirm, answer, draw, inputs=["run"], outputs=OUTPUTS)


def on_select(event: gr.EventData) -> Updates:
    return {"run": int(event.id)}


def on_run(lab: LabContext, values: Values) -> Updates:
    """The table with the run that was chosen, and nothing of the one before."""
    run = values["run"]
    return {
        "run_table": panels.table_value(lab, alignment.find(lab), run),
        "detail": {"waiting": run} if run else {},
        "links": {},
        **dict.fromkeys(BUTTONS, gr.update(visible=False)),
        "curves": gr.update(visible=False, value=None),
    }


def on_tick(lab: LabContext, values: Values) -> Updates:
    return {} if values["run_mark"] == mark(lab, values["run"]) else draw(lab, values)


def mark(lab: LabContext, run: int | None) -> str:
    """Changes whenever the tab has something new to show."""
    state: list[Any] = [
        (view.id, view.title, view.state, view.job and (view.job.done, view.job.message))
        for view in alignment.find(lab)
    ]
    view = policy_run(lab, run)
    model = models.show(lab, view.model).status if view and view.model else None
    return repr((run, state, view and (view.status, view.outcome), model))


def policy_run(lab: LabContext, run: int | None) -> TrainingView | None:
    """The run by its id; None where it is none of a policy."""
    try:
        view = training.show(lab, run) if run is not None else None
    except LabError:
        return None
    return view if view is not None and view.rolls_out else None


def draw(lab: LabContext, values: Values) -> Updates:
    """Everything on the tab, of the run that is open."""
    run = values["run"]
    state = mark(lab, run)  # read first: what changes while the rest is read is drawn at the next tick
    view = policy_run(lab, run)
    model = models.show(lab, view.model) if view and view.model else None
    ready = model if model and model.status in ("ready", "loaded") else None
    points = training.curves(lab, view) if view else {}
    return {
        "run_mark": state,
        "run_table": panels.table_value(lab, alignment.find(lab), run),
        "detail": panels.detail_value(lab, view, ready) if view else {},
        "links": panels.links_value(view) if view else {},
        **_buttons(lab, view, ready),
        "curves": gr.update(visible=bool(points), value=charts.curves(view, points) if view and points else None),
    }


def _buttons(lab: LabContext, view: TrainingView | None, model: models.ModelView | None) -> Updates:
    live = view is not None and view.status in ("running", "queued") and view.state != "cancelling"
    stopped = view is not None and view.status in ("cancelled", "failed") and model is None
    measured = view is not None and stopped and bool(alignment.steps(lab, view.id, "evaluations"))
    return {
        "cancel": gr.update(visible=live),
        "resume": gr.update(visible=stopped),
        "keep": gr.update(visible=measured),
    }
