"""The tab "New": what is trained on what, what it will take, how the model will see it; then the start."""

import html
from collections.abc import Iterator

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import datasets, evaluation
from genai_lab.services.training import estimates, plan_diff, progress, studies
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from pages.components.copying import copy_computed, download_computed
from pages.components.forms import Form, Updates, Values
from pages.components.head import html_part
from pages.components.recipe_links import recipe_links
from pages.components.selection import Selection
from pages.components.stats import share_text
from pages.finetune import choices, form, panels, previews
from pages.finetune.previews import READY, WAITING

FILE = "plan.yaml"
CHOICE = ("model", "objective", "method")
QA = DatasetSpec("starter-qa", ("answer-passage", "answer-reading"))
EXAMPLES: dict[str, TrainingPlan] = {
    "LoRA learns to answer questions": TrainingPlan(
        "starter-seq2seq", (QA,), method="lora", training=Training(
            max_steps=160, per_device_batch_size=16, validation_rows=100)
    ),
    "A soft prompt for the same task": TrainingPlan(
        "starter-seq2seq", (QA,), method="prompt_tuning", training=Training(max_steps=300, per_device_batch_size=16)
    ),
    "Three tasks at once": TrainingPlan(
        "starter-seq2seq",
        (
            QA,
            DatasetSpec("starter-sentiment", ("classify-sentiment-answer",)),
            DatasetSpec("starter-translation", ("translate-french", "translate-sentence")),
        ),
        method="full",
        training=Training(max_steps=300, per_device_batch_size=16),
    ),
    "Stories by CLM": TrainingPlan(
        "starter-causal", (DatasetSpec("starter-story", ("story-continue",)),), objective="clm", method="full",
        training=Training(max_steps=120, per_device_batch_size=8),
    ),
    "A sentiment classifier": TrainingPlan(
        "starter-toxicity", (DatasetSpec("starter-sentiment"),), objective="classification", method="full",
        training=Training(max_steps=120, per_device_batch_size=16, max_length=128),
    ),
}  # fmt: skip


def build(lab: LabContext, page: Form) -> None:
    """Draws and wires the tab; "started" of the page becomes the id of a run that has been started."""
    recipe_links("finetune")
    with gr.Row(elem_classes=["chips"]):
        chips = {name: gr.Button(name, size="sm", elem_id=f"ft-example-{n}") for n, name in enumerate(EXAMPLES)}
        quick = gr.Button(
            "Start", variant="primary", size="sm", scale=0, min_width=70, interactive=False, elem_id="ft-quick"
        )
    page.add(quick=quick, plan_draft=gr.BrowserState(None, storage_key="genai-lab-finetune", secret="genai-lab"))
    form.draw(page, lambda: _draw_actions(page))
    inputs = form.input_names()
    _draw_yaml(lab, page, inputs)
    for name, chip in chips.items():
        page.fill(chip.click, use_example, lab, name, outputs=[*inputs, "quick"])
    _wire_choice(lab, page)
    page.on(
        page["look"].click, show_first_batch, lab, inputs=inputs, outputs=["first_batch", "look"],
        concurrency_id="models",
    )  # fmt: skip
    page.on(
        page["weigh"].click, show_memory, lab, inputs=["gpu", *inputs], outputs=["memory", "weigh"],
        concurrency_id="models",
    )  # fmt: skip
    for button in (page["start"], quick):
        page.on(
            button.click, start_run, lab, inputs=[*form.ABOUT_RUN, *inputs],
            outputs=["started", "tabs", "start", "quick"], concurrency_id="models",
        )  # fmt: skip
    page.on(page["preset"].input, form.on_preset, inputs=["preset"], outputs=form.PRESET_FIELDS, queue=False)
    page.fill(page["reset"].click, start_over, lab, outputs=inputs)
    page.keep_draft(page["plan_draft"], inputs)


def _wire_choice(lab: LabContext, page: Form) -> None:
    """What is chosen says which settings are shown and what is trained."""
    selection = Selection(lambda arguments: tuple(arguments[0][name] for name in CHOICE))
    for name in CHOICE:
        event = page[name].change
        page.on(
            event, choices.on_choice, lab, inputs=CHOICE, outputs=["objective", "method", *form.groups()],
            queue=False,
        )  # fmt: skip
        described = page.on(event, selection.on_choice(describe_choice, lab), inputs=CHOICE, outputs=["about"])
        page.on(described.success, selection.for_choice(describe_share, lab), inputs=CHOICE, outputs=["about"])
    page.propose(
        page["dataset"].input, choices.on_dataset, lab, choices=["dataset"], inputs=["objective", "templates"],
        outputs=["templates"],
    )  # fmt: skip


def _draw_actions(page: Form) -> None:
    """The buttons, and what they show below them."""
    with gr.Row(elem_classes=["actions"]):
        page.add(
            start=gr.Button("Start run", variant="primary", size="sm", scale=0, min_width=110, elem_id="ft-start"),
            weigh=gr.Button("Memory and time", size="sm", scale=0, min_width=130, elem_id="ft-memory"),
            look=gr.Button("First batch", size="sm", scale=0, min_width=100, elem_id="ft-look"),
            reset=gr.Button("Start over", size="sm", scale=0, min_width=90, elem_id="ft-reset"),
        )
    page.add(
        about=gr.HTML("", apply_default_css=False, elem_classes=["plain"], js_on_load=None, elem_id="ft-about"),
        memory=html_part({"bars": []}, panels.MEMORY, "ft-plan", sheet="finetune.css"),
        first_batch=html_part({"rows": []}, panels.TOKENS, "ft-first-batch", sheet="finetune.css"),
    )


def _draw_yaml(lab: LabContext, page: Form, inputs: list[str]) -> None:
    """The plan as a text to take along, and the command that starts the same run."""
    with gr.Accordion("As YAML and command line", open=False, elem_id="ft-yaml-shelf"):
        page.add(
            yaml=gr.Textbox(
                "", label="Plan", lines=10, max_lines=30, elem_id="ft-yaml", elem_classes=["mono"],
                info="Generated from the form. Paste YAML to load it.",
            ),
            command=gr.Textbox(
                "", label="Command", interactive=False, max_lines=2, elem_id="ft-command", elem_classes=["mono"]
            ),
        )  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            write = gr.Button("Write from form", size="sm", scale=0, min_width=130, elem_id="ft-write")
            load = gr.Button("Load into form", size="sm", scale=0, min_width=110, elem_id="ft-put")
            copy = gr.Button("Copy YAML", size="sm", scale=0, min_width=100)
            command = gr.Button("Copy command", size="sm", scale=0, min_width=120)
            download = gr.Button("Download", size="sm", scale=0, min_width=90)
    run_inputs = [*form.ABOUT_RUN, *inputs]
    page.on(write.click, write_yaml, lab, inputs=run_inputs, outputs=["yaml", "command"])
    page.fill(load.click, load_yaml, lab, inputs=["yaml"], outputs=inputs)
    copy_computed(copy, page.reader(yaml_of), page.inputs(inputs))
    copy_computed(command, page.reader(command_of, lab), page.inputs(run_inputs))
    download_computed(download, page.reader(yaml_of), page.inputs(inputs), FILE)


def first_values(lab: LabContext, draft: str | None) -> Updates:
    """The inputs as the draft has them, and the evaluations that can be a gate."""
    gates = [(f"{view.id}: {view.title}", view.id) for view in evaluation.find(lab, 40)]
    return {**choices.form_updates(lab, form.read_plan_draft(draft)), "gate": gr.update(choices=gates)}


def start_over(lab: LabContext) -> Updates:
    return choices.form_updates(lab, None)


def use_example(lab: LabContext, name: str) -> Updates:
    """An example in the form, its datasets imported where they are missing."""
    plan = EXAMPLES[name]
    for spec in plan.data:
        if not any(view.dataset == spec.dataset for view in datasets.find(lab, spec.dataset, 50)[0]):
            datasets.import_starter(lab, spec.dataset.removeprefix("starter-"), spec.dataset)
    return {**choices.form_updates(lab, form.write_plan(plan)), "quick": READY}


def describe_choice(lab: LabContext, values: Values) -> Updates:
    """What is learned and what is trained, at once; `describe_share` counts how much of the model it is."""
    last = "Counting trained parameters…" if values["model"] else ""
    return {"about": panels.about_markup(values["objective"], values["method"], last)}


def describe_share(lab: LabContext, values: Values) -> Updates:
    """The same with the share of the weights, where it is known."""
    model, objective, method = (values[name] for name in CHOICE)
    share = estimates.trained_share(lab, model, objective, method) if model else None
    last = ""
    if share is not None:
        rate = estimates.usual_rate(lab, model, objective, method)
        last = (
            f"<b>{html.escape(model)}</b>: trains <b>{share_text(*share)}</b> parameters; an empty learning rate "
            f"means {rate:g}."
        )
    return {"about": panels.about_markup(objective, method, last)}


def start_run(lab: LabContext, values: Values) -> Iterator[Updates]:
    """To the list of runs at once, where the run is being checked; back to the form where it is refused."""
    plan, name = form.read_plan(values)
    title, gate = values["title"] or "", values["gate"] or []
    yield {"tabs": gr.update(selected="runs"), "start": WAITING, "quick": WAITING}
    try:
        with progress.starting(lab, plan, title or name):
            run = studies.start_gated(lab, plan, gate, name=name, title=title, tags=_tags(values))
    except BaseException:
        yield {"tabs": gr.update(selected="new"), "start": READY, "quick": READY}
        raise
    gr.Info(f"Run {run.run_id} is queued.", duration=4, title="Started")
    yield {"started": run.run_id, "start": READY, "quick": READY}


def show_first_batch(lab: LabContext, values: Values) -> Iterator[Updates]:
    yield from previews.batch_updates(lab, form.read_plan(values)[0])


def show_memory(lab: LabContext, values: Values) -> Iterator[Updates]:
    yield from previews.memory_updates(lab, form.read_plan(values)[0], values["gpu"])


def write_yaml(lab: LabContext, values: Values) -> Updates:
    return {"yaml": yaml_of(values), "command": command_of(lab, values)}


def yaml_of(values: Values) -> str:
    return form.read_plan(values)[0].to_yaml()


def command_of(lab: LabContext, values: Values) -> str:
    _, name = form.read_plan(values)
    tags = [tag.strip() for tag in _tags(values)]
    return plan_diff.command(lab, FILE, name, values["title"] or "", tags, values["gate"] or [])


def load_yaml(lab: LabContext, values: Values) -> Updates:
    text = values["yaml"] or ""
    if not text.strip():
        raise LabError("There is no YAML to load into the form; write it from the form, or paste one.")
    return choices.form_updates(lab, form.write_plan(TrainingPlan.from_yaml(text)))


def _tags(values: Values) -> list[str]:
    return (values["tags"] or "").split(",")
