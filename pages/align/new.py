"""The tab "Train a policy": a base, prompts, what is rewarded, and the start."""

import urllib.parse
from collections.abc import Iterator
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import datasets, training
from genai_lab.services.training import progress
from pages.align import plans
from pages.align.runs import SHEET
from pages.components.errors import INTERNAL
from pages.components.forms import Form, Updates, Values
from pages.components.head import html_part
from pages.finetune import choices, previews
from pages.finetune import panels as plan_panels
from pages.finetune.previews import READY, WAITING

OPEN = "(address) => { if (address) window.location.href = address; }"


def build(lab: LabContext, page: Form) -> None:
    """Draws and wires the tab; "started" of the page becomes the id of a run that has been started."""
    with gr.Row(elem_classes=["chips"]):
        chips = {name: gr.Button(name, size="sm", elem_id=f"al-example-{n}") for n, name in enumerate(plans.EXAMPLES)}
    page.add(plan_draft=gr.BrowserState(None, storage_key="genai-lab-align", secret="genai-lab"))
    plans.draw(page)
    with gr.Row(elem_classes=["actions"]):
        button: dict[str, Any] = {"size": "sm", "scale": 0}
        page.add(
            start=gr.Button("Start run", variant="primary", min_width=110, elem_id="al-start", **button),
            weigh=gr.Button("Memory and time", min_width=130, elem_id="al-memory", **button),
            look=gr.Button("First batch", min_width=100, elem_id="al-look", **button),
            finetune=gr.Button("Open in Fine-tune", min_width=130, elem_id="al-finetune", **button),
            reset=gr.Button("Start over", min_width=90, elem_id="al-reset", **button),
        )
    page.add(
        memory=html_part({"bars": []}, plan_panels.MEMORY, "al-plan", sheet=SHEET),
        first_batch=html_part({"rows": []}, plan_panels.TOKENS, "al-first-batch", sheet=SHEET),
        elsewhere=gr.Textbox("", visible="hidden", show_label=False, container=False),
    )
    for name, chip in chips.items():
        page.fill(chip.click, use_example, lab, name, outputs=plans.INPUTS)
    page.fill(page["reset"].click, start_over, lab, outputs=plans.INPUTS)
    for name, fn, shown in (("look", show_first_batch, "first_batch"), ("weigh", show_memory, "memory")):
        page.on(page[name].click, fn, lab, inputs=plans.INPUTS, outputs=[shown, name], concurrency_id="models")
    page.on(
        page["start"].click, start_run, lab, inputs=plans.INPUTS, outputs=["started", "tabs", "start"],
        concurrency_id="models",
    )  # fmt: skip
    page.propose(
        page["dataset"].input, on_dataset, lab, choices=["dataset"], inputs=["templates"], outputs=["templates"]
    )
    page.on(page["finetune"].click, finetune_address, inputs=plans.INPUTS, outputs=["elsewhere"]).success(
        None, page["elsewhere"], None, js=OPEN, **INTERNAL
    )
    page.keep_draft(page["plan_draft"], plans.INPUTS)


def use_example(lab: LabContext, name: str) -> Updates:
    """An example in the form, its prompts imported where they are missing."""
    plan = plans.EXAMPLES[name]
    for spec in plan.data:
        if not any(view.dataset == spec.dataset for view in datasets.find(lab, spec.dataset, 50)[0]):
            datasets.import_starter(lab, spec.dataset.removeprefix("starter-"), spec.dataset)
    return plans.form_updates(lab, plans.write_plan(plan))


def start_over(lab: LabContext) -> Updates:
    return plans.form_updates(lab, None)


def on_dataset(lab: LabContext, values: Values) -> Updates:
    """The templates for a dataset that was chosen by hand; the best one where it has no plain input."""
    menu, best = choices.template_choices(lab, values["dataset"])
    plain = values["dataset"] and {"input", "messages", "prompt"} & set(datasets.show(lab, values["dataset"]).roles)
    return {"templates": gr.update(choices=menu, value=[] if plain else best)}


def start_run(lab: LabContext, values: Values) -> Iterator[Updates]:
    """Checks the plan, starts the run and opens it."""
    plan, name = plans.read_plan(values)
    yield {"tabs": gr.update(selected="runs"), "start": WAITING}
    try:
        with progress.starting(lab, plan, name):
            run = training.start(lab, plan, name=name, title=name or _title(values))
    except BaseException:
        yield {"tabs": gr.update(selected="new"), "start": READY}
        raise
    gr.Info(f"Run {run.run_id} is queued.", duration=4, title="Started")
    yield {"started": run.run_id, "start": READY}


def _title(values: Values) -> str:
    return f"{values['model']} by {values['objective'].upper()} on {values['dataset']}"


def show_first_batch(lab: LabContext, values: Values) -> Iterator[Updates]:
    yield from previews.batch_updates(lab, plans.read_plan(values)[0])


def show_memory(lab: LabContext, values: Values) -> Iterator[Updates]:
    yield from previews.memory_updates(lab, plans.read_plan(values)[0])


def finetune_address(values: Values) -> Updates:
    """Where the same plan is in the form of Fine-tune, with every setting."""
    plan, _ = plans.read_plan(values)
    return {"elsewhere": f"/finetune?{urllib.parse.urlencode({'plan': plan.to_yaml()})}"}
