"""Fine-tuning: planned, started, watched, compared, and taken into the playground."""

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import recipes, training
from genai_lab.training import TrainingPlan
from pages.components.errors import INTERNAL
from pages.components.forms import Form, Updates, Values
from pages.components.head import page_head
from pages.components.loading import number_of
from pages.finetune import choices, form, new, runs, studies

TITLE = "Fine-tune"
ROUTE = "finetune"
ADDRESS = """(run) => { if (run) history.replaceState(null, '', `${location.pathname}?run=${run}`); return run; }"""

ADDRESSED = ("run", "study", "model", "dataset", "recipe", "plan")


def build(lab: LabContext) -> None:
    page_head(TITLE, "Train a model on a dataset: estimate the cost, watch it learn, compare runs, try the result.")
    page = Form(run=gr.State(None), started=gr.State(None))
    page.add(address=gr.Textbox("", visible="hidden", show_label=False, container=False))
    with gr.Tabs(elem_id="ft-tabs") as tabs:
        page.add(tabs=tabs)
        with gr.Tab("New", id="new"):
            new.build(lab, page)
        with gr.Tab("Runs", id="runs"):
            runs.build(lab, page)
        with gr.Tab("Studies", id="studies"):
            studies.build(lab, page)
    inputs = form.input_names()
    outputs = ["tabs", "run", *inputs, "gate", *studies.OUTPUTS, *studies.CHOICES]
    page.on_load(load_page, lab, inputs=["plan_draft"], outputs=outputs)
    follow = page.on(page["started"].change, on_started, inputs=["started"], outputs=["tabs", "run", "address"])
    follow.success(None, page["address"], None, js=ADDRESS, **INTERNAL)
    page.fill(page["clone"].click, clone_run, lab, inputs=["run"], outputs=["tabs", *inputs])


def load_page(lab: LabContext, values: Values, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?run=ID, ?study=ID, ?model=NAME as a base, ?dataset=NAME to learn from,
    ?recipe=NAME with the plan of a recipe, ?plan=YAML with that plan, else the form as it was left.
    """
    query = {name: request.query_params.get(name, "") for name in ADDRESSED}
    named, study, model, dataset, recipe, plan = query.values()
    newest, number = training.find(lab, limit=1), number_of(named)
    run = number if number is not None else newest[0].id if newest else None
    updates = {"run": run, **new.first_values(lab, values["plan_draft"]), **studies.first_values(lab, study)}
    if model:
        updates["model"] = gr.update(choices=updates["model"].get("choices"), value=model)
    if dataset:
        updates |= choices.updates_for_dataset(lab, dataset)
    if recipe:
        updates |= choices.form_updates(lab, form.write_plan(recipes.tuning_plan(lab, recipe)))
    if plan:
        updates |= choices.form_updates(lab, form.write_plan(TrainingPlan.from_yaml(plan)))
    if named or study:
        updates["tabs"] = gr.update(selected="runs" if named else "studies")
    return updates


def on_started(values: Values) -> Updates:
    """To the run that has just been started."""
    run = values["started"]
    return {"tabs": gr.update(selected="runs"), "run": run, "address": str(run)} if run else {}


def clone_run(lab: LabContext, values: Values) -> Updates:
    """The run's plan in the form."""
    if values["run"] is None:
        raise LabError("No run is chosen; choose one in the table.")
    plan = training.show(lab, values["run"]).plan
    return {"tabs": gr.update(selected="new"), **choices.form_updates(lab, form.write_plan(plan))}
