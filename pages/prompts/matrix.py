"""The Matrix tab: the form, what the matrix will cost, the grid that fills, and what becomes of a good cell."""

from collections.abc import Iterator

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import matrix as service
from genai_lab.services.matrix.estimating import Estimating
from pages.components import jobstrip, metric_settings
from pages.components.errors import INTERNAL
from pages.components.forms import Form, Updates, Values
from pages.components.head import escaped_html, section
from pages.components.loading import number_of
from pages.components.recipe_links import recipe_links
from pages.prompts import matrix_form, results
from pages.prompts.matrix_form import INPUTS, plan_of
from pages.prompts.pieces import EMBEDDING

ROUTE = "prompts"
ADDRESS = """(run) => { if (run) history.replaceState(null, '', `${location.pathname}?matrix=${run}`); return run; }"""
OPENED = ("run", "address", "cell", "mark", *results.OUTPUTS)  # what another matrix changes
# Estimates under way, by browser session.
_ESTIMATES: dict[str, Estimating] = {}


def build(lab: LabContext, tabs: gr.Tabs, draft: gr.BrowserState) -> Form:
    form = Form(tabs=tabs, draft=draft, run=gr.State(None), mark=gr.State(""))
    recipe_links(ROUTE)
    jobstrip.build(lab, ("matrix",))
    with gr.Accordion("New matrix", open=True, elem_id="mx-new"):
        matrix_form.draw_main(form)
        with gr.Row(elem_classes=["actions"]):
            start = gr.Button("Run matrix", variant="primary", size="sm", scale=0, min_width=110, elem_id="mx-run")
            cost = gr.Button("Estimate", size="sm", scale=0, min_width=90, elem_id="mx-estimate")
            stop = gr.Button(
                "Stop estimating", size="sm", scale=0, min_width=120, visible=False, elem_id="mx-estimate-stop"
            )
            sample = gr.Button("Fill in an example", size="sm", scale=0, min_width=80, elem_id="mx-try")
        estimate = escaped_html(
            "",
            html_template='{{#if value}}<p class="panel-note" role="status">{{value}}</p>{{/if}}',
            elem_classes=["plain"],
            js_on_load=None,
            elem_id="mx-cost",
        )
        form.add(stop_estimate=stop, estimate=estimate)
        settings = metric_settings.draw_metric_settings(form, "mx")
        matrix_form.draw_details(form)
    section("Results")
    results.build(lab, form)
    form.add(address=gr.Textbox("", visible="hidden", show_label=False, container=False))
    loaded = ["tabs", *INPUTS, *metric_settings.model_fields(), *OPENED]
    results.show_predictions(lab, form, form.on_load(load_page, lab, inputs=["draft"], outputs=loaded))
    _wire_form(lab, form, cost, sample, settings)
    for event in (
        form.on(start.click, start_run, lab, inputs=[*INPUTS, *settings], outputs=OPENED),
        form.on(form["rerun"].click, rerun, lab, inputs=["run"], outputs=OPENED),
        form.on(form["matrix_menu"].input, on_matrix_menu, lab, inputs=["matrix_menu"], outputs=OPENED),
    ):
        results.show_predictions(lab, form, event)
        event.success(None, form["address"], None, js=ADDRESS, **INTERNAL)
    # The timer draws what it was asked for, which may be late: it never says which matrix is open.
    form.on(
        gr.Timer(1).tick,
        on_tick,
        lab,
        inputs=["run", "mark", "figure", "chart", "cell"],
        outputs=["mark", *results.OUTPUTS],
    )
    return form


def _wire_form(lab: LabContext, form: Form, cost: gr.Button, sample: gr.Button, settings: list[str]) -> None:
    estimated = ["estimate", "stop_estimate"]
    form.on(cost.click, on_estimate, lab, inputs=[*INPUTS, *settings], outputs=estimated, concurrency_limit=None)
    form.on(form["stop_estimate"].click, on_stop_estimate, outputs=["stop_estimate"], queue=False)
    form.fill(sample.click, matrix_form.example, lab, outputs=INPUTS)
    form.propose(
        form["dataset"].input,
        matrix_form.on_dataset,
        lab,
        choices=["dataset"],
        inputs=matrix_form.PROPOSED,
        outputs=matrix_form.PROPOSED,
    )
    form.on(
        form["selectors"].change,
        matrix_form.on_selectors,
        inputs=["selectors"],
        outputs=["fixed", *EMBEDDING],
        queue=False,
    )
    choosing = ["metrics", *metric_settings.base_fields()]
    for name in choosing:
        form.on(
            form[name].change,
            matrix_form.on_metrics,
            inputs=choosing,
            outputs=metric_settings.panels(),
            queue=False,
        )
    form.keep_draft(form["draft"], INPUTS)


def load_page(lab: LabContext, values: Values, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?matrix=RUN and &cell=CELL, else the newest; the form as it was left.

    ?tab=matrix opens this tab, ?dataset=NAME chooses it with what suits it, ?example=yes fills the example in,
    ?recipe=NAME the plan of a recipe.
    """
    names = ("matrix", "cell", "dataset", "tab", "example", "recipe")
    query = {name: request.query_params.get(name, "") for name in names}
    newest, named = service.find(lab, 1), number_of(query["matrix"])
    run = named if named is not None else newest[0].id if newest else None
    cell = number_of(query["cell"]) if named is not None else None
    updates = {**matrix_form.first_values(lab, values["draft"], query["dataset"]), **_show_matrix(lab, run, cell)}
    updates |= metric_settings.load_models(lab)
    if query["example"]:
        updates |= matrix_form.example(lab)
    if query["recipe"]:
        for name, value in matrix_form.from_recipe(lab, query["recipe"], query["dataset"]).items():
            update = updates.get(name)
            updates[name] = {**update, "value": value} if isinstance(update, dict) and "choices" in update else value
    if query["matrix"] or query["example"] or query["recipe"] or query["tab"] == "matrix":
        updates["tabs"] = gr.update(selected="matrix")
    return updates


def on_estimate(lab: LabContext, values: Values, request: gr.Request) -> Iterator[Updates]:
    """The number of requests at once, tokens and time as they come in; Stop ends it."""
    key = str(request.session_hash)
    if before := _ESTIMATES.pop(key, None):
        before.stop()
    estimating = _ESTIMATES[key] = Estimating(lab, plan_of(lab, values))
    last_text = ""
    try:
        while True:
            finished, latest = estimating.done, estimating.latest
            text = " ".join((latest.sentence, *(f"{sentence}." for sentence in latest.fewer)))
            if text != last_text or finished:
                last_text = text
                yield {"estimate": text, "stop_estimate": gr.update(visible=not finished)}
            if finished and estimating.problem is not None:
                raise estimating.problem
            if finished:
                return
            estimating.wait(0.5)
    finally:
        estimating.stop()
        if _ESTIMATES.get(key) is estimating:
            del _ESTIMATES[key]


def on_stop_estimate(request: gr.Request) -> Updates:
    if estimating := _ESTIMATES.get(str(request.session_hash)):
        estimating.stop()
    return {"stop_estimate": gr.update(visible=False)}


def start_run(lab: LabContext, values: Values) -> Updates:
    return _show_matrix(lab, service.start(lab, plan_of(lab, values)).run_id)


def rerun(lab: LabContext, values: Values) -> Updates:
    if values["run"] is None:
        raise LabError("No matrix is open; run one first.")
    return _show_matrix(lab, service.rerun(lab, values["run"]).run_id)


def on_matrix_menu(lab: LabContext, values: Values) -> Updates:
    return _show_matrix(lab, values["matrix_menu"])


def on_tick(lab: LabContext, values: Values) -> Updates:
    """Draws again while rows come in, here or in another browser."""
    run = values["run"]
    if run is None and not service.find(lab, 1):
        return {}
    mark = results.mark(lab, run)
    if mark == values["mark"]:
        return {}
    return {"mark": mark, **results.overview(lab, run, values["figure"], values["cell"], values["chart"])}


def _show_matrix(lab: LabContext, run: int | None, cell: int | None = None) -> Updates:
    """Another matrix than the one that was open, with this cell."""
    mark = results.mark(lab, run)  # read first: what changes meanwhile is drawn at the next tick
    overview = results.overview(lab, run, None, cell, "curve", fresh=True)
    return {"run": run, "address": str(run or ""), "cell": cell, "mark": mark, **overview}
