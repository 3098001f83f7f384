"""The tab "Runs": every run, one of them watched, several of them overlaid and compared."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models, training
from genai_lab.services.training import TrainingView, progress
from pages.components.confirm import Confirm
from pages.components.errors import notice
from pages.components.forms import Form, Updates, Values
from pages.components.head import html_part
from pages.components.selection import Selection
from pages.finetune import charts, report, run_actions, run_panels, samples

LARGEST_EXPORT = 200_000_000
BUTTONS = {**run_actions.BUTTONS, "clone": "Clone", "merge": "Merge"}
SHOWN = ("run", "beside", "all_samples")  # what `draw` reads
# What `draw` updates.
OUTPUTS = (
    "run_mark", "run_table", "detail", *BUTTONS, "export", "curves", *report.OUTPUTS, "differences", "samples_shelf",
    "samples", "words",
)  # fmt: skip
WORDS = ("run_title", "run_tags", "beside")


def build(lab: LabContext, page: Form) -> None:
    """Draws and wires the tab; "run" of the page is the run that is open, "clone" is wired by the page."""
    page.add(run_mark=gr.State(""))
    page.add(
        run_table=html_part({"rows": []}, run_panels.TABLE, "ft-runs", run_panels.TABLE_SCRIPT, sheet="finetune.css"),
        beside=gr.Dropdown(
            [], label="Overlay with", info="Other runs in the same charts; settings that differ are listed below.",
            multiselect=True, interactive=True, elem_id="ft-beside",
        ),
        detail=html_part({}, run_panels.DETAIL, "ft-detail", sheet="finetune.css"),
    )  # fmt: skip
    with gr.Row(elem_classes=["actions"]):
        page.add(
            {
                name: gr.Button(text, size="sm", scale=0, min_width=80, visible=False, elem_id=f"ft-{name}")
                for name, text in BUTTONS.items()
            }
        )
        export = gr.DownloadButton("Export", size="sm", scale=0, min_width=80, visible=False, elem_id="ft-export")
        page.add(export=export)
    confirm = Confirm("Cancel run", "ft-confirm", "Keep running")
    _draw_results(page)
    save = _draw_words(page)
    _wire(lab, page, confirm, save)


def _draw_results(page: Form) -> None:
    page.add(
        curves=gr.Plot(
            show_label=False, container=False, visible=False, elem_id="ft-curves", elem_classes=["chart-scroll"]
        )
    )
    page.add(report.draw())
    page.add(differences=html_part({"rows": []}, run_panels.DIFFERENCES, "ft-differences", sheet="finetune.css"))
    with gr.Accordion("Sample completions", open=True, visible=False, elem_id="ft-samples-shelf") as shelf:
        every = gr.Checkbox(False, label="All evaluations, not just the first and the last", elem_id="ft-all")
        page.add(all_samples=every, samples=html_part({}, samples.TABLE, "ft-samples", sheet="finetune.css"))
    page.add(samples_shelf=shelf)


def _draw_words(page: Form) -> gr.Button:
    with gr.Accordion("Title and tags", open=False, visible=False, elem_id="ft-words") as accordion:
        with gr.Row():
            page.add(
                run_title=gr.Textbox(label="Title", max_lines=1, elem_id="ft-rename"),
                run_tags=gr.Textbox(label="Tags", info="Separated by commas.", max_lines=1, elem_id="ft-retag"),
            )
        save = gr.Button("Save", size="sm", scale=0, min_width=70, elem_id="ft-save-words")
    page.add(words=accordion)
    return save


def _wire(lab: LabContext, page: Form, confirm: Confirm, save: gr.Button) -> None:
    selection = Selection(lambda arguments: arguments[0]["run"])
    answer = selection.for_choice
    # Gradio tells a State's `change` event of answers from its queue only, so this handler is queued.
    page.on(page["run_table"].select, on_select, outputs=["run"], trigger_mode="multiple")
    opened = page.on(
        page["run"].change, selection.on_choice(on_run, lab), inputs=["run"], outputs=[*OUTPUTS[1:], *WORDS]
    )
    for event in (opened.success, page["beside"].change, page["all_samples"].change):
        page.on(event, answer(draw, lab), inputs=SHOWN, outputs=OUTPUTS)
    # A tick that is late must not undo a choice, so it never says what is open.
    page.on(gr.Timer(1.5).tick, answer(on_tick, lab), inputs=[*SHOWN, "run_mark"], outputs=OUTPUTS)
    run_actions.wire(lab, page, confirm, answer, draw, inputs=SHOWN, outputs=OUTPUTS)
    page.on(page["merge"].click, merge, lab, inputs=["run"])
    page.on(save.click, answer(rename, lab), inputs=[*SHOWN, "run_title", "run_tags"], outputs=OUTPUTS)


def on_select(event: gr.EventData) -> Updates:
    return {"run": int(event.id)}


def words_of(lab: LabContext, run: int | None) -> Updates:
    """Title and tags of the run, and which others can be laid over it."""
    others = [(f"{view.id}: {view.title}", view.id) for view in training.find(lab) if view.id != run]
    view = run_of(lab, run)
    return {
        "run_title": view.title if view else "",
        "run_tags": ", ".join(view.tags) if view else "",
        "beside": gr.update(choices=others, value=[]),
    }


def on_run(lab: LabContext, values: Values) -> Updates:
    """The table with the run that was chosen, and nothing of the one before."""
    run = values["run"]
    hidden = gr.update(visible=False)
    return {
        "run_table": run_panels.table_value(lab, training.find(lab), run),
        "detail": {"waiting": run},
        **dict.fromkeys((*BUTTONS, "samples_shelf", "words"), hidden),
        "export": gr.update(visible=False, value=None),
        "curves": gr.update(visible=False, value=None),
        **report.updates({}),
        "differences": {"rows": []},
        "samples": {},
        **words_of(lab, run),
    }


def on_tick(lab: LabContext, values: Values) -> Updates:
    return {} if values["run_mark"] == mark(lab, values["run"], values["beside"]) else draw(lab, values)


def mark(lab: LabContext, run: int | None, beside: list[int] | None) -> str:
    """Changes whenever the tab has something new to show."""
    state: list[Any] = [
        (view.id, view.title, view.status, view.tags, view.job and (view.job.done, view.job.message))
        for view in training.find(lab)
    ]
    state += [repr(start) for start in progress.find_starting(lab)]
    view = run_of(lab, run)
    if view is None:
        return repr((run, beside, state))
    model = view.model and models.show(lab, view.model).status
    detail = (view.status, view.job and view.job.done, view.outcome, model)
    return repr((run, beside, state, len(training.samples(lab, view.id)), detail))


def run_of(lab: LabContext, run: int | None) -> TrainingView | None:
    """The run by its id, whether the table shows it or it is older."""
    try:
        return training.show(lab, run) if run is not None else None
    except LabError:
        return None


def draw(lab: LabContext, values: Values) -> Updates:
    """Everything on the tab, of the run that is open and those beside it."""
    run, beside = values["run"], values["beside"]
    state = mark(lab, run, beside)  # read first: what changes while the rest is read is drawn at the next tick
    view = run_of(lab, run)
    others = [other for number in beside or [] if number != run and (other := run_of(lab, number)) is not None]
    views = [*([view] if view else []), *others]
    curves = [(plotted, training.curves(lab, plotted)) for plotted in views]
    has_curves = any(points for _, points in curves)
    rows = training.samples(lab, view.id) if view else []
    model = _ready_model(lab, view)
    return {
        "run_mark": state,
        "run_table": run_panels.table_value(lab, training.find(lab), run),
        "detail": run_panels.detail_value(lab, view, model) if view else {},
        **_buttons(lab, view, model, bool(rows)),
        "curves": gr.update(visible=has_curves, value=charts.curves(curves) if has_curves else None),
        **(report.updates(view.report, view.tunes_policy) if view else report.updates({})),
        "differences": run_panels.differences_value(views),
        "samples_shelf": gr.update(visible=bool(rows)),
        "samples": samples.table(rows, bool(values["all_samples"])),
        "words": gr.update(visible=view is not None),
    }


def _ready_model(lab: LabContext, view: TrainingView | None) -> models.ModelView | None:
    """What the run has made, where it can be used already."""
    model = models.show(lab, view.model) if view and view.model else None
    return model if model and model.status in ("ready", "loaded") else None


def _buttons(lab: LabContext, view: TrainingView | None, model: models.ModelView | None, has_samples: bool) -> Updates:
    """What can be done with the run: the buttons that are seen."""
    live = view is not None and view.status in ("running", "queued") and view.state != "cancelling"
    stopped = view is not None and view.status in ("cancelled", "failed") and model is None
    adapter = model is not None and model.card.is_adapter
    mergeable = adapter and view is not None and view.mergeable
    small = model is not None and (model.card.disk_bytes or 0) < LARGEST_EXPORT
    return {
        "cancel": gr.update(visible=live),
        "resume": gr.update(visible=stopped),
        "keep": gr.update(visible=stopped and has_samples),
        "clone": gr.update(visible=view is not None),
        "merge": gr.update(visible=mergeable),
        "export": gr.update(visible=small, value=training.export_file(lab, view.id) if small and view else None),
    }


def merge(lab: LabContext, values: Values) -> None:
    view = training.show(lab, run_actions.open_run(values))
    started = training.merge(lab, view.model or "")
    notice(f"Job {started.job_id} merges it as {started.model}, once the two give the same logits.")


def rename(lab: LabContext, values: Values) -> Updates:
    training.rename(lab, run_actions.open_run(values), values["run_title"], (values["run_tags"] or "").split(","))
    return draw(lab, values)
