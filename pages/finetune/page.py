"""Fine-tuning: planned, launched, watched, compared, and taken into the playground."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import training
from pages.components.errors import PRIVATE
from pages.components.head import page_head
from pages.components.opening import fills, number_of, on_open
from pages.finetune import form as forms
from pages.finetune import new, runs, studies

TITLE = "Fine-tune"
ROUTE = "finetune"
ADDRESS = """(run) => { if (run) history.replaceState(null, '', `${location.pathname}?run=${run}`); return run; }"""
Update = Any


def build(lab: LabContext) -> None:
    page_head(TITLE, "Teach a model from a dataset: see what it will take, watch it learn, compare, try it out.")
    opened, begun = gr.State(None), gr.State(None)
    with gr.Tabs(elem_id="ft-tabs") as tabs:
        with gr.Tab("New", id="new"):
            made = new.New(lab, begun, tabs)
        with gr.Tab("Runs", id="runs"):
            shown = runs.Runs(lab, opened)
        with gr.Tab("Studies", id="studies"):
            several = studies.Studies(lab, made.form.inputs)
    inputs = made.form.inputs
    on_open(
        arrived,
        [tabs, opened, *inputs, made.gate, *several.drawn, *several.offers],
        lab,
        len(inputs),
        inputs=[made.draft],
    )
    begun.change(followed, begun, [tabs, opened], **PRIVATE).success(None, opened, None, js=ADDRESS, **PRIVATE)
    fills(shown.clone.click, cloned, [tabs, *inputs], lab, inputs=[opened])


def arrived(lab: LabContext, count: int, draft: str | None, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?run=ID, ?study=ID, ?model=NAME as a base, ?dataset=NAME to learn from, else
    the form as it was left.
    """
    names = ("run", "study", "model", "dataset")
    asked, study, model, dataset = (request.query_params.get(name, "") for name in names)
    newest = training.find(lab, limit=1)
    named = number_of(asked)
    run = named if named is not None else newest[0].id if newest else None
    tab = "runs" if asked else "studies" if study else None
    made = new.arrived(lab, draft, count)
    if model:
        made[0] = gr.update(choices=made[0].get("choices"), value=model) if isinstance(made[0], dict) else model
    if dataset:
        made[3], made[4] = forms.named_dataset(lab, dataset, made[3], made[4])
    return [gr.update(selected=tab) if tab else gr.skip(), run, *made, *studies.arrived(lab, study)]


def followed(run: int | None) -> Sequence[Update]:
    """To the run that has just been started."""
    return (gr.update(selected="runs"), run) if run else (gr.skip(), gr.skip())


def cloned(lab: LabContext, run: int | None) -> Sequence[Update]:
    """The run's plan in the form."""
    if run is None:
        raise LabError("No run is chosen; choose one in the table.")
    return [gr.update(selected="new"), *forms.offered(lab, forms.values_of(training.show(lab, run).plan))]
