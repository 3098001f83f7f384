"""A new evaluation: systems of the prompt lab, models on a dataset, uploaded predictions, or a suite."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.evaluation.harness import MISSING, installed
from genai_lab.metrics import METRICS
from genai_lab.services import datasets, evaluation, matrix, models, task_defaults, templates
from genai_lab.services.evaluation import Choice, harness, suites, uploads
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.opening import on_open

DEFAULT_METRICS = ["rouge"]
FIRST_SUITE, FIRST_MODEL = "summary", "starter-seq2seq"
PREDICTIONS = ("prediction", "predictions", "output", "completion", "hypothesis")
WORDS = (
    "A **suite** is a test that is ready to run: dataset, template and metrics in one file. A **system** is whatever "
    "has answered the rows of a dataset: a model with a template, a cell of a matrix, or predictions from a file."
)
Update = Any


def build(lab: LabContext, opened: gr.State, tabs: gr.Tabs) -> None:
    gr.Markdown(WORDS, elem_classes=["quiet"])
    with gr.Tabs(elem_id="ev-new-tabs") as kinds:
        with gr.Tab("Suite", id="suite"):
            suite, run_one = _suite(lab, opened)
        with gr.Tab("Models on a dataset", id="models"):
            fresh, run_two = _models(lab, opened)
        with gr.Tab("Systems of the prompt lab", id="systems"):
            systems, run_three = _systems(lab, opened)
        with gr.Tab("Uploaded predictions", id="uploaded"):
            run_four = _uploaded(lab, opened)
        with gr.Tab("Harness", id="harness"):
            guests = _harness(lab)
    for event in (run_one, run_two, run_three, run_four):
        event.success(to_figures, None, tabs, queue=False, **PRIVATE)
    on_open(choices, [kinds, *suite, *fresh, *systems, *guests], lab)


def to_figures() -> Update:
    """What has been started is looked at."""
    return gr.update(selected="figures")


def _metrics(elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        [(METRICS.get(name).title, name) for name in METRICS],
        value=DEFAULT_METRICS,
        multiselect=True,
        label="Metrics",
        info="Each gets its figures with 95 % intervals.",
        elem_id=elem_id,
    )


def _seed(elem_id: str) -> gr.Number:
    return gr.Number(0, precision=0, label="Seed", info="Draws the rows, the bootstrap and the tests.", elem_id=elem_id)


def _suite(lab: LabContext, opened: gr.State) -> tuple[list[Any], Any]:
    name = gr.Dropdown([], label="Suite", info="Dataset, template and metrics in one file.", elem_id="ev-suite")
    chosen = gr.Dropdown([], multiselect=True, label="Models", max_choices=6, elem_id="ev-suite-models")
    run = gr.Button("Run suite", variant="primary", scale=0, min_width=120, elem_id="ev-suite-run")
    event = run.click(guarded(run_suite, lab), [name, chosen], opened, concurrency_id="models", **PRIVATE)
    return [name, chosen], event


def _models(lab: LabContext, opened: gr.State) -> tuple[list[Any], Any]:
    with gr.Row():
        chosen = gr.Dropdown([], multiselect=True, label="Models", max_choices=6, elem_id="ev-models")
        dataset = gr.Dropdown([], label="Dataset", elem_id="ev-dataset", interactive=True)
        template = gr.Dropdown(
            [], label="Template", info="Those that suit the dataset first.", elem_id="ev-template", interactive=True
        )
    with gr.Row():
        metrics = _metrics("ev-models-metrics")
        rows = gr.Number(100, precision=0, label="Rows", info="Drawn with the seed.", elem_id="ev-rows-count")
    run = gr.Button("Evaluate", variant="primary", scale=0, min_width=120, elem_id="ev-run")
    with gr.Accordion("Details", open=False, elem_id="ev-details"), gr.Row():
        split = gr.Dropdown(["test", "validation", "train"], value="test", label="Split", elem_id="ev-split")
        shots = gr.Number(0, precision=0, label="Shots", info="Solved examples from train.", elem_id="ev-shots")
        tokens = gr.Number(64, precision=0, label="Max new tokens", info="Greedy decoding.", elem_id="ev-tokens")
        seed = _seed("ev-seed")
    inputs = [chosen, dataset, template, split, rows, shots, tokens, metrics, seed]
    event = run.click(guarded(run_models, lab), inputs, opened, concurrency_id="models", **PRIVATE)
    suited = [template, metrics, tokens, split]
    dataset.input(guarded(proposed, lab), dataset, suited, queue=False, **PRIVATE)
    return [chosen, dataset, *suited], event


def _systems(lab: LabContext, opened: gr.State) -> tuple[list[Any], Any]:
    chosen = gr.Dropdown(
        [],
        multiselect=True,
        label="Systems",
        max_choices=evaluation.MOST_SYSTEMS,
        info="Cells of a matrix and uploaded predictions; the first is the baseline.",
        elem_id="ev-systems",
    )
    metrics = _metrics("ev-systems-metrics")
    run = gr.Button("Compare", variant="primary", scale=0, min_width=120, elem_id="ev-systems-run")
    with gr.Accordion("Details", open=False):
        seed = _seed("ev-systems-seed")
    event = run.click(guarded(run_systems, lab), [chosen, metrics, seed], opened, **PRIVATE)
    return [chosen], event


def _uploaded(lab: LabContext, opened: gr.State) -> Any:
    file = gr.File(
        label="CSV or JSON Lines",
        file_types=[".csv", ".tsv", ".jsonl", ".json", ".gz", ".parquet"],
        height=110,
        elem_id="ev-file",
    )
    with gr.Row():
        predictions = gr.Dropdown(
            [], multiselect=True, label="Predictions", info="One system a column.", elem_id="ev-prediction"
        )
        references = gr.Dropdown([], multiselect=True, label="References", elem_id="ev-reference")
        source = gr.Dropdown([], label="Input", info="For reading; may stay empty.", elem_id="ev-input")
        metrics = _metrics("ev-metrics")
    run = gr.Button("Score file", variant="primary", scale=0, min_width=120, elem_id="ev-file-run")
    with gr.Accordion("Details", open=False):
        seed = _seed("ev-file-seed")
    file.change(guarded(columns), file, [predictions, references, source], **PRIVATE)
    inputs = [file, predictions, references, source, metrics, seed]
    return run.click(guarded(run_uploaded, lab), inputs, opened, **PRIVATE)


def _harness(lab: LabContext) -> list[Any]:
    """Tasks of lm-evaluation-harness, where it is installed; they measure by themselves."""
    if not installed():
        gr.Markdown(MISSING, elem_classes=["quiet"])
        return []
    with gr.Row():
        chosen = gr.Dropdown([], multiselect=True, label="Models", max_choices=6, elem_id="ev-guest-models")
        tasks = gr.Textbox(
            label="Tasks", info="Of lm-evaluation-harness, with commas.", placeholder="arc_easy", elem_id="ev-tasks"
        )
        limit = gr.Number(100, precision=0, label="Documents", info="At most, a task.", elem_id="ev-limit")
    run = gr.Button("Run tasks", variant="primary", scale=0, min_width=120, elem_id="ev-guest-run")
    with gr.Accordion("Details", open=False), gr.Row():
        shots = gr.Textbox(label="Shots", info="Empty: the task's own number.", max_lines=1, elem_id="ev-guest-shots")
        seed = _seed("ev-guest-seed")
    run.click(guarded(run_harness, lab), [chosen, tasks, shots, limit, seed], None, concurrency_id="models", **PRIVATE)
    return [chosen]


def run_harness(
    lab: LabContext, chosen: list[str], tasks: str, shots: str | None, limit: float | None, seed: float
) -> None:
    given = (shots or "").strip()
    if given and not given.isdecimal():
        raise LabError(f"Shots are {given[:40]!r}; write a whole number, or leave it empty for the task's own.")
    most, own = int(limit) if limit else None, int(given) if given else None
    job = harness.start(lab, chosen, (tasks or "").split(","), shots=own, limit=most, seed=int(seed or 0))
    notice(f"Job {job} is queued; its evaluations appear in the list when it has ended.")


def choices(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """What can be chosen now: kind, suite, models, dataset and what suits it, systems; ?dataset=NAME chooses one."""
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    found = [view.name for view in datasets.find(lab, "", 200)[0]]
    known = [(f"{one.id}: {one.label} on {one.dataset} (n = {one.n})", one.id) for one in evaluation.systems(lab)]
    shipped = [(f"{one.name}: {one.about}", one.name) for one in suites.load_all()]
    guests = (gr.update(choices=names, value=names[:1]),) if installed() else ()
    asked = request.query_params.get("dataset", "")
    wanted = next((one for one in found if asked in (one, one.partition("@")[0])), None)
    first = [FIRST_MODEL] if FIRST_MODEL in names else names[:1]
    suite = next((name for _, name in shipped if name == FIRST_SUITE), shipped[0][1] if shipped else None)
    dataset = wanted or next(iter(found), None)
    return (
        gr.update(selected="models") if wanted else gr.skip(),
        gr.update(choices=shipped, value=suite),
        gr.update(choices=names, value=first),
        gr.update(choices=names, value=names[:1]),
        gr.update(choices=found, value=dataset),
        *proposed(lab, dataset),
        gr.update(choices=known),
        *guests,
    )


def proposed(lab: LabContext, dataset: str | None) -> Sequence[Update]:
    """Template, metrics, length and split that suit the dataset."""
    if not dataset:
        every = [view.name for view in templates.find(lab)]
        return gr.update(choices=every, value=every[0] if every else None), DEFAULT_METRICS, 64, "test"
    made = task_defaults.for_dataset(lab, dataset)
    names = [one.view.name for one in made.templates]
    best = names[0] if made.best else None
    splits = datasets.show(lab, dataset).splits
    split = next((one for one in ("test", "validation", "train") if splits.get(one)), "test")
    return gr.update(choices=names, value=best), list(made.metrics), made.max_new_tokens, split


def run_suite(lab: LabContext, name: str | None, chosen: list[str]) -> int:
    if not name:
        raise LabError("No suite is chosen; choose one.")
    return suites.run(lab, name, chosen).run_id


def run_models(
    lab: LabContext,
    chosen: list[str],
    dataset: str | None,
    template: str | None,
    split: str,
    rows: float,
    shots: float,
    tokens: float,
    metrics: list[str],
    seed: float,
) -> int:
    if not chosen or not dataset or not template:
        raise LabError("Choose at least one model, a dataset and a template; the Datasets page imports one.")
    picked = tuple(Choice(name) for name in metrics)
    plan = matrix.Plan(
        dataset=dataset,
        models=tuple(chosen),
        templates=(template,),
        shots=(int(shots or 0),),
        samplings=(Sampling(greedy=True, max_new_tokens=int(tokens or 0)),),
        seeds=(int(seed or 0),),
        rows=int(rows or 0),
        split=split,
        metrics=picked,
    )
    return evaluation.run_models(lab, plan, seed=int(seed or 0)).run_id


def run_systems(lab: LabContext, chosen: list[int], metrics: list[str], seed: float) -> int:
    if not chosen:
        raise LabError("No system is chosen; run a matrix in the Prompt lab or upload predictions.")
    return evaluation.start(lab, chosen, [Choice(name) for name in metrics], seed=int(seed or 0)).run_id


def columns(file: str | None) -> Sequence[Update]:
    """The file's columns, with a guess at what they are."""
    if not file:
        return [gr.update(choices=[], value=None)] * 3
    preview = datasets.preview(Path(file), options=datasets.FileOptions(as_is=True))
    names, roles = preview.columns, preview.roles
    guess = [name for name in names if name.lower() in PREDICTIONS]
    source = next((name for name in roles.get("input", ()) if name not in guess), "")
    references = [name for name in roles.get("reference", roles.get("label", ())) if name not in guess]
    return (
        gr.update(choices=names, value=guess),
        gr.update(choices=names, value=references),
        gr.update(choices=["", *names], value=source),
    )


def run_uploaded(
    lab: LabContext,
    file: str | None,
    predictions: list[str],
    references: list[str],
    source: str | None,
    metrics: list[str],
    seed: float,
) -> int:
    if not file:
        raise LabError("No file is chosen; upload a table with predictions and references.")
    made = uploads.systems(lab, Path(file), predictions, references, source or None)
    return evaluation.start(lab, made, [Choice(name) for name in metrics], seed=int(seed or 0)).run_id
