"""A new evaluation: a suite, models on a dataset, systems of the prompt lab, uploaded predictions, or the harness."""

from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.evaluation.harness import MISSING, is_installed
from genai_lab.metrics import METRICS
from genai_lab.metrics.grouping import MOST_PER_ROW
from genai_lab.services import datasets, evaluation, matrix, models, task_defaults, templates
from genai_lab.services.evaluation import harness, suites, uploads
from pages.components import metric_settings
from pages.components.errors import INTERNAL, notice
from pages.components.forms import Form, in_section, section
from pages.components.settings_inputs import Updates, Values

DEFAULT_METRICS = ["rouge"]
FIRST_SUITE, FIRST_MODEL = "summary", "starter-seq2seq"
MAX_MODELS = 6
PREDICTION_COLUMNS = ("prediction", "predictions", "output", "completion", "hypothesis")
SPLITS = ("test", "validation", "train")
INTRODUCTION = (
    "A **suite** is a test that is ready to run: dataset, template and metrics in one file. A **system** is whatever "
    "has answered the rows of a dataset: a model with a template, a cell of a matrix, or predictions from a file."
)
SUITE = ["suite.name", "suite.models"]
MODELS = [
    f"models.{name}"
    for name in ("models", "dataset", "template", "split", "rows", "shots", "max_new_tokens", "metrics", "seed")
] + ["models.num_return_sequences", "models.temperature"]
PROPOSED = ["models.template", "models.metrics", "models.max_new_tokens", "models.split"]
SYSTEMS = ["systems.systems", "systems.metrics", "systems.seed"]
COLUMNS = ["upload.predictions", "upload.references", "upload.input"]
UPLOAD = ["upload.file", *COLUMNS, "upload.metrics", "upload.seed"]
METRIC_CHOICES = ["models.metrics", "systems.metrics", "upload.metrics"]
HARNESS = ["harness.models", "harness.tasks", "harness.shots", "harness.limit", "harness.seed"]


def build(lab: LabContext, page: Form) -> None:
    """Draws the tab. What is started becomes the page's `run_id`, and its figures are shown."""
    gr.Markdown(INTRODUCTION, elem_classes=["quiet"])
    form = Form(run_id=page["run_id"])
    with gr.Tabs(elem_id="ev-new-tabs") as kinds:
        with gr.Tab("Suite", id="suite"):
            _suite(form)
        with gr.Tab("Models on a dataset", id="models"):
            _models(form)
        with gr.Tab("Prompt lab systems", id="systems"):
            _systems(form)
        with gr.Tab("Uploaded predictions", id="uploaded"):
            _upload(form)
        with gr.Tab("Harness", id="harness"):
            _harness(lab, form)
    form.add(kinds=kinds)
    settings = metric_settings.draw_metric_settings(form, "ev")
    starts = {
        "suite.run": (run_suite, SUITE, {"concurrency_id": "models"}),
        "models.run": (run_models, [*MODELS, *settings], {"concurrency_id": "models"}),
        "systems.run": (run_systems, [*SYSTEMS, *settings], {}),
        "upload.run": (run_upload, [*UPLOAD, *settings], {}),
    }
    for button, (run, inputs, options) in starts.items():
        started = form.on(form[button].click, run, lab, inputs=inputs, outputs=["run_id"], **options)
        started.success(show_figures, None, page["tabs"], queue=False, **INTERNAL)
    dataset = form["models.dataset"]
    form.on(dataset.input, propose, lab, inputs=["models.dataset"], outputs=PROPOSED, queue=False)
    form.on(form["upload.file"].change, read_columns, inputs=["upload.file"], outputs=COLUMNS)
    choosing = [*METRIC_CHOICES, *metric_settings.base_fields()]
    for name in choosing:
        form.on(form[name].change, show_settings, inputs=choosing, outputs=metric_settings.panels(), queue=False)
    offered = ["kinds", *SUITE, "models.models", "models.dataset", *PROPOSED, "systems.systems"]
    offered += metric_settings.model_fields()
    form.on_load(load_choices, lab, outputs=[*offered, *(["harness.models"] if is_installed() else [])])


def show_settings(values: Values) -> Updates:
    """The settings of the metrics that are chosen in any tab."""
    return metric_settings.show_settings(values, [values[name] for name in METRIC_CHOICES])


def show_figures() -> Any:
    """To the figures of what has been started."""
    return gr.update(selected="figures")


def _metrics(elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        [(METRICS.get(name).title, name) for name in METRICS],
        value=DEFAULT_METRICS,
        multiselect=True,
        label="Metrics",
        info="Every figure comes with a 95 % interval.",
        elem_id=elem_id,
    )


def _model_choice(elem_id: str) -> gr.Dropdown:
    return gr.Dropdown([], multiselect=True, label="Models", max_choices=MAX_MODELS, elem_id=elem_id)


def _seed(elem_id: str) -> gr.Number:
    info = "Used to sample rows, and for the bootstrap and the tests."
    return gr.Number(0, precision=0, label="Seed", info=info, elem_id=elem_id)


def _run_button(label: str, elem_id: str) -> gr.Button:
    return gr.Button(label, variant="primary", scale=0, min_width=120, elem_id=elem_id)


def _suite(form: Form) -> None:
    name = gr.Dropdown([], label="Suite", info="Dataset, template and metrics in one file.", elem_id="ev-suite")
    fields = {"name": name, "models": _model_choice("ev-suite-models"), "run": _run_button("Run suite", "ev-suite-run")}
    form.add(in_section(fields, "suite"))


def _models(form: Form) -> None:
    with gr.Row():
        fields: dict[str, Any] = {
            "models": _model_choice("ev-models"),
            "dataset": gr.Dropdown([], label="Dataset", elem_id="ev-dataset", interactive=True),
            "template": gr.Dropdown(
                [], label="Template", info="Those that fit the dataset come first.", elem_id="ev-template",
                interactive=True,
            ),
        }  # fmt: skip
    with gr.Row():
        fields["metrics"] = _metrics("ev-models-metrics")
        fields["rows"] = gr.Number(
            100, precision=0, label="Rows", info="Sampled with the seed.", elem_id="ev-rows-count"
        )
    fields["run"] = _run_button("Evaluate", "ev-run")
    with gr.Accordion("Details", open=False, elem_id="ev-details"), gr.Row():
        fields["split"] = gr.Dropdown(list(SPLITS), value="test", label="Split", elem_id="ev-split")
        fields["shots"] = gr.Number(
            0, precision=0, label="Shots", info="Solved examples from train.", elem_id="ev-shots"
        )
        fields["max_new_tokens"] = gr.Number(
            64, precision=0, label="Max new tokens", info="Per completion.", elem_id="ev-tokens"
        )
        fields["num_return_sequences"] = gr.Number(
            1,
            precision=0,
            minimum=1,
            maximum=MOST_PER_ROW,
            label="Completions per row",
            info="More than 1 for pass@k, best of k and majority votes.",
            elem_id="ev-completions",
        )
        fields["temperature"] = gr.Number(
            0,
            minimum=0,
            maximum=5,
            step=0.1,
            label="Temperature",
            info="0 is greedy decoding.",
            elem_id="ev-temperature",
        )
        fields["seed"] = _seed("ev-seed")
    form.add(in_section(fields, "models"))


def _systems(form: Form) -> None:
    systems = gr.Dropdown(
        [],
        multiselect=True,
        label="Systems",
        max_choices=evaluation.MOST_SYSTEMS,
        info="Cells of a matrix and uploaded predictions; the first is the baseline.",
        elem_id="ev-systems",
    )
    metrics, run = _metrics("ev-systems-metrics"), _run_button("Compare", "ev-systems-run")
    with gr.Accordion("Details", open=False):
        seed = _seed("ev-systems-seed")
    form.add(in_section({"systems": systems, "metrics": metrics, "run": run, "seed": seed}, "systems"))


def _upload(form: Form) -> None:
    file = gr.File(
        label="CSV or JSON Lines",
        file_types=[".csv", ".tsv", ".jsonl", ".json", ".gz", ".parquet"],
        height=110,
        elem_id="ev-file",
    )
    with gr.Row():
        fields = {
            "file": file,
            "predictions": gr.Dropdown(
                [], multiselect=True, label="Predictions", info="One column per system.", elem_id="ev-prediction"
            ),
            "references": gr.Dropdown([], multiselect=True, label="References", elem_id="ev-reference"),
            "input": gr.Dropdown([], label="Input", info="Optional; shown beside the rows.", elem_id="ev-input"),
            "metrics": _metrics("ev-metrics"),
        }
    fields["run"] = _run_button("Score file", "ev-file-run")
    with gr.Accordion("Details", open=False):
        fields["seed"] = _seed("ev-file-seed")
    form.add(in_section(fields, "upload"))


def _harness(lab: LabContext, form: Form) -> None:
    """Tasks of lm-evaluation-harness, where it is installed; it measures by itself."""
    if not is_installed():
        gr.Markdown(MISSING, elem_classes=["quiet"])
        return
    with gr.Row():
        fields: dict[str, Any] = {
            "models": _model_choice("ev-guest-models"),
            "tasks": gr.Textbox(
                label="Tasks",
                info="Task names of lm-evaluation-harness, separated by commas.",
                placeholder="arc_easy",
                elem_id="ev-tasks",
            ),
            "limit": gr.Number(100, precision=0, label="Documents", info="Per task, at most.", elem_id="ev-limit"),
        }
    fields["run"] = _run_button("Run tasks", "ev-guest-run")
    with gr.Accordion("Details", open=False), gr.Row():
        fields["shots"] = gr.Textbox(
            label="Shots", info="Empty: the task's default.", max_lines=1, elem_id="ev-guest-shots"
        )
        fields["seed"] = _seed("ev-guest-seed")
    form.add(in_section(fields, "harness"))
    form.on(form["harness.run"].click, run_harness, lab, inputs=HARNESS, concurrency_id="models")


def load_choices(lab: LabContext, request: gr.Request) -> Updates:
    """What can be chosen now: kind, suite, models, dataset and what suits it, systems; ?dataset=NAME selects one."""
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    versions = [view.name for view in datasets.find(lab, "", 200)[0]]
    systems = [
        (f"{view.id}: {view.label} on {view.dataset} (n = {view.n})", view.id) for view in evaluation.systems(lab)
    ]
    shipped = [(f"{suite.name}: {suite.about}", suite.name) for suite in suites.load_all()]
    requested = request.query_params.get("dataset", "")
    dataset = next((name for name in versions if requested in (name, name.partition("@")[0])), None)
    first_suite = next((name for _, name in shipped if name == FIRST_SUITE), shipped[0][1] if shipped else None)
    first_model = [FIRST_MODEL] if FIRST_MODEL in names else names[:1]
    updates: Updates = {"kinds": gr.update(selected="models")} if dataset else {}
    dataset = dataset or next(iter(versions), None)
    updates |= {
        "suite.name": gr.update(choices=shipped, value=first_suite),
        "suite.models": gr.update(choices=names, value=first_model),
        "models.models": gr.update(choices=names, value=names[:1]),
        "models.dataset": gr.update(choices=versions, value=dataset),
        **propose(lab, {"models.dataset": dataset}),
        "systems.systems": gr.update(choices=systems),
        **metric_settings.load_models(lab),
    }
    return updates | ({"harness.models": gr.update(choices=names, value=names[:1])} if is_installed() else {})


def propose(lab: LabContext, values: Values) -> Updates:
    """Template, metrics, length and split that suit the dataset."""
    dataset = values["models.dataset"]
    if not dataset:
        names = [view.name for view in templates.find(lab)]
        template = gr.update(choices=names, value=names[0] if names else None)
        return dict(zip(PROPOSED, (template, DEFAULT_METRICS, 64, "test"), strict=True))
    proposal = task_defaults.for_dataset(lab, dataset)
    names = [match.view.name for match in proposal.templates]
    rows = datasets.show(lab, dataset).splits
    return {
        "models.template": gr.update(choices=names, value=names[0] if proposal.best else None),
        "models.metrics": list(proposal.metrics),
        "models.max_new_tokens": proposal.max_new_tokens,
        "models.split": next((split for split in SPLITS if rows.get(split)), "test"),
    }


def run_suite(lab: LabContext, values: Values) -> Updates:
    fields = section(values, "suite")
    if not fields["name"]:
        raise LabError("No suite is chosen; choose one.")
    return {"run_id": suites.run(lab, fields["name"], fields["models"]).run_id}


def run_models(lab: LabContext, values: Values) -> Updates:
    """Queues the models' answers and their evaluation."""
    fields = section(values, "models")
    if not fields["models"] or not fields["dataset"] or not fields["template"]:
        raise LabError("Choose at least one model, a dataset and a template; the Datasets page imports one.")
    seed = _whole(fields["seed"])
    plan = matrix.MatrixPlan(
        dataset=fields["dataset"],
        models=tuple(fields["models"]),
        templates=(fields["template"],),
        shots=(_whole(fields["shots"]),),
        samplings=(_sampling(fields),),
        num_return_sequences=_whole(fields["num_return_sequences"]),
        seeds=(seed,),
        rows=_whole(fields["rows"]),
        split=fields["split"],
        metrics=tuple(metric_settings.metric_specs(values, fields["metrics"])),
    )
    return {"run_id": evaluation.run_models(lab, plan, seed=seed).run_id}


def _sampling(fields: Values) -> Sampling:
    """Greedy decoding, or sampling at the temperature."""
    length, temperature = _whole(fields["max_new_tokens"]), fields["temperature"] or 0
    if not temperature:
        return Sampling(greedy=True, max_new_tokens=length)
    return Sampling(temperature=temperature, max_new_tokens=length)


def run_systems(lab: LabContext, values: Values) -> Updates:
    fields = section(values, "systems")
    if not fields["systems"]:
        raise LabError("No system is chosen; run a matrix in the Prompt lab or upload predictions.")
    metrics, seed = metric_settings.metric_specs(values, fields["metrics"]), _whole(fields["seed"])
    return {"run_id": evaluation.start(lab, fields["systems"], metrics, seed=seed).run_id}


def read_columns(values: Values) -> Updates:
    """The file's columns, with a guess at their roles."""
    file = values["upload.file"]
    if not file:
        return dict.fromkeys(COLUMNS, gr.update(choices=[], value=None))
    preview = datasets.preview(Path(file), options=datasets.FileOptions(as_is=True))
    columns, roles = preview.columns, preview.roles
    predictions = [name for name in columns if name.lower() in PREDICTION_COLUMNS]
    inputs = [name for name in roles.get("input", ()) if name not in predictions]
    references = [name for name in roles.get("reference", roles.get("label", ())) if name not in predictions]
    return {
        "upload.predictions": gr.update(choices=columns, value=predictions),
        "upload.references": gr.update(choices=columns, value=references),
        "upload.input": gr.update(choices=["", *columns], value=next(iter(inputs), "")),
    }


def run_upload(lab: LabContext, values: Values) -> Updates:
    fields = section(values, "upload")
    if not fields["file"]:
        raise LabError("No file is chosen; upload a table with predictions and references.")
    systems = uploads.systems(
        lab, Path(fields["file"]), fields["predictions"], fields["references"], fields["input"] or None
    )
    metrics, seed = metric_settings.metric_specs(values, fields["metrics"]), _whole(fields["seed"])
    return {"run_id": evaluation.start(lab, systems, metrics, seed=seed).run_id}


def run_harness(lab: LabContext, values: Values) -> None:
    fields = section(values, "harness")
    shots = (fields["shots"] or "").strip()
    if shots and not shots.isdecimal():
        raise LabError(f"Shots are {shots[:40]!r}; write a whole number, or leave it empty for the task's own.")
    job = harness.start(
        lab,
        fields["models"],
        (fields["tasks"] or "").split(","),
        shots=int(shots) if shots else None,
        limit=_whole(fields["limit"]) or None,
        seed=_whole(fields["seed"]),
    )
    notice(f"Job {job} is queued; its evaluations appear in the list when it finishes.")


def _whole(number: float | None) -> int:
    return int(number or 0)
