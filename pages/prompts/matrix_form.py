"""The form of a matrix: its inputs, the plan that they describe, and what suits a dataset."""

from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS
from genai_lab.prompts.few_shot import SELECTORS
from genai_lab.recipes import RECIPES
from genai_lab.services import datasets, models, presets, prompting, recipes, task_defaults, templates
from genai_lab.services.matrix import MatrixPlan
from pages.components import metric_settings
from pages.components.forms import Form, Updates, Values, read_draft
from pages.prompts import pieces
from pages.prompts.preview import SENT_AS

EXAMPLE, EXAMPLE_MODEL, EXAMPLE_TEMPLATE = "starter-sentiment", "starter-causal", "classify-review"
SPLITS = ["test", "validation", "train"]
# The inputs, and their values on a new page; "dataset", "models" and what suits them depend on the lab.
START: dict[str, Any] = {
    "dataset": None,
    "models": [],
    "templates": [EXAMPLE_TEMPLATE],
    "shots": "0, 1, 4",
    "rows": 100,
    "metrics": ["exact_match"],
    "selectors": ["random"],
    "shot_split": "train",
    "split": "test",
    "fixed": "",
    "embedder": "",
    "diversity": 0.0,
    "samplings": ["greedy"],
    "max_new_tokens": 16,
    "num_return_sequences": 1,
    "seeds": "0",
    "rendering": "by model",
    "use_cache": True,
}
INPUTS = tuple(START)
PROPOSED = ("templates", "metrics", "max_new_tokens")  # what a dataset proposes
# A draft of earlier versions is a list of the values in this order.
FORMER_DRAFT = (
    "dataset", "models", "templates", "shots", "selectors", "rows", "metrics", "fixed", "samplings", "max_new_tokens",
    "seeds", "split", "shot_split", "rendering", "use_cache",
)  # fmt: skip


def draw_main(form: Form) -> None:
    """What every matrix asks for: dataset, models, templates, shots, rows, metrics."""
    with gr.Row():
        form.add(
            dataset=gr.Dropdown([], label="Dataset", interactive=True, elem_id="mx-dataset"),
            models=gr.Dropdown([], label="Models", multiselect=True, interactive=True, elem_id="mx-models"),
            templates=gr.Dropdown(
                [],
                label="Templates",
                info="Those that suit the dataset come first; the newest version, or NAME@2, NAME@tag.",
                multiselect=True,
                allow_custom_value=True,
                interactive=True,
                elem_id="mx-templates",
            ),
        )
    with gr.Row():
        form.add(
            shots=gr.Textbox(
                START["shots"], label="Shots", info="Solved examples, separated by commas.", elem_id="mx-shots"
            ),
            rows=gr.Number(
                START["rows"],
                label="Rows",
                info="Sampled from the split.",
                precision=0,
                minimum=1,
                elem_id="mx-rows",
            ),
            metrics=gr.Dropdown(
                [(METRICS.get(name).title, name) for name in METRICS],
                value=START["metrics"],
                label="Metrics",
                info="Chosen by the dataset's task; change them as you like.",
                multiselect=True,
                interactive=True,
                elem_id="mx-metrics",
            ),
        )


def draw_details(form: Form) -> None:
    """Everything else, closed."""
    with gr.Accordion("Details", open=False, elem_id="mx-details"):
        _draw_shots(form)
        with gr.Row():
            form.add(
                samplings=gr.Dropdown(
                    ["greedy"],
                    value=START["samplings"],
                    label="Sampling",
                    multiselect=True,
                    interactive=True,
                    elem_id="mx-samplings",
                ),
                max_new_tokens=gr.Number(
                    START["max_new_tokens"], label="Max new tokens", precision=0, minimum=1, elem_id="mx-tokens"
                ),
                num_return_sequences=gr.Number(
                    START["num_return_sequences"],
                    label="Completions per row",
                    precision=0,
                    minimum=1,
                    elem_id="mx-completions",
                ),
                seeds=gr.Textbox(
                    START["seeds"], label="Seeds", info="For sampling rows, shots and tokens.", elem_id="mx-seeds"
                ),
            )
        with gr.Row():
            form.add(
                rendering=gr.Dropdown(
                    list(SENT_AS), value="by model", label="Prompt format", interactive=True, elem_id="mx-form"
                ),
                use_cache=gr.Checkbox(True, label="Use cache", elem_id="mx-cache"),
            )


def _draw_shots(form: Form) -> None:
    with gr.Row():
        form.add(
            selectors=gr.Dropdown(
                [(SELECTORS.get(name).title, name) for name in SELECTORS],
                value=START["selectors"],
                label="Shot selection",
                multiselect=True,
                interactive=True,
                elem_id="mx-selectors",
            ),
            shot_split=gr.Dropdown(
                SPLITS, value=START["shot_split"], label="Shots from", interactive=True, elem_id="mx-shot-split"
            ),
            split=gr.Dropdown(SPLITS, value=START["split"], label="Rows from", interactive=True, elem_id="mx-split"),
        )
    form.add(
        fixed=gr.Textbox(
            "", label="Fixed rows", info="Row numbers, separated by commas.", visible=False, elem_id="mx-fix"
        )
    )
    form.add(pieces.embedding_inputs("mx"))


def plan_of(lab: LabContext, values: Values) -> MatrixPlan:
    """The plan that the inputs describe; raises LabError in one sentence."""
    if not values["dataset"]:
        raise LabError("No dataset is chosen; press Fill in an example, or import one on the Datasets page.")
    saved = presets.presets(lab)
    samplings, length = values["samplings"] or (), int(values["max_new_tokens"] or 0)
    missing = next((name for name in samplings if name not in saved), None)
    if missing is not None:
        raise LabError(f"There is no preset called {missing!r}; choose another sampling.")
    seeds = read_numbers("seeds", values["seeds"])
    return MatrixPlan(
        dataset=values["dataset"],
        models=tuple(values["models"] or ()),
        templates=tuple(values["templates"] or ()),
        shots=read_numbers("shots", values["shots"]),
        selectors=tuple(values["selectors"] or ()),
        samplings=tuple(replace(saved[name].sampling, max_new_tokens=length, seed=None) for name in samplings),
        seeds=seeds,
        rows=int(values["rows"] or 0),
        sample_seed=seeds[0],
        split=values["split"],
        shot_split=values["shot_split"],
        fixed=prompting.keys_of(values["fixed"] or ""),
        embedder=values["embedder"] or "",
        diversity=float(values["diversity"] or 0),
        rendering=values["rendering"],
        use_cache=bool(values["use_cache"]),
        num_return_sequences=int(values["num_return_sequences"] or 1),
        metrics=tuple(metric_settings.metric_specs(values, values["metrics"] or START["metrics"])),
    )


def read_numbers(name: str, text: str | None) -> tuple[int, ...]:
    """Whole numbers with commas between them; raises LabError."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    wrong = next((part for part in parts if not part.isdecimal() or len(part) > 9), None)
    if wrong is not None or not parts:
        raise LabError(f"{name.capitalize()} are {(text or '')[:40]!r}; write whole numbers with commas between them.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def first_values(lab: LabContext, text: str | None, dataset: str = "") -> Updates:
    """The choices of now, with the values of the draft where they are still there; of `dataset` where one is named.

    Without a draft, and for a dataset that is named, what suits the dataset is proposed.
    """
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    sets = [view.name for view in datasets.find(lab, "", 200)[0]]
    draft = read_draft(text, INPUTS, FORMER_DRAFT)
    values = {**START, **(draft or {})}
    if draft is None:
        values["models"] = [EXAMPLE_MODEL] if EXAMPLE_MODEL in names else names[:1]
    named = dataset if dataset in sets else next((name for name in sets if name.partition("@")[0] == dataset), None)
    candidates = (name for name in (named, values["dataset"]) if name in sets)
    selected = next(candidates, sets[0] if sets else None)
    if selected and (named or draft is None):
        values |= proposal_of(lab, selected)
        if not datasets.show(lab, selected).splits.get("train"):
            values["shots"] = "0"
    saved = list(presets.presets(lab))
    samplings = [name for name in values["samplings"] or [] if name in saved]
    return {
        **values,
        "dataset": gr.update(choices=sets, value=selected),
        "models": gr.update(choices=names, value=[name for name in values["models"] or [] if name in names]),
        "templates": gr.update(choices=template_names(lab, selected), value=values["templates"]),
        "fixed": gr.update(value=values["fixed"], visible="fixed" in (values["selectors"] or [])),
        **pieces.load_embedding(lab, values, values["selectors"] or []),
        "samplings": gr.update(choices=saved, value=samplings),
    }


def on_dataset(lab: LabContext, values: Values) -> Updates:
    """Templates, metrics and length that suit a dataset which has just been chosen."""
    dataset = values["dataset"]
    if not dataset:
        return {}
    proposal = proposal_of(lab, dataset)
    choices = template_names(lab, dataset)
    return {**proposal, "templates": gr.update(choices=choices, value=proposal["templates"])}


def proposal_of(lab: LabContext, dataset: str) -> dict[str, Any]:
    suited = task_defaults.for_dataset(lab, dataset)
    return {
        "templates": [suited.best] if suited.best else [],
        "metrics": list(suited.metrics),
        "max_new_tokens": suited.max_new_tokens,
    }


def template_names(lab: LabContext, dataset: str | None) -> list[str]:
    """The names of all templates, those that suit the dataset first."""
    if dataset is None:
        return [view.template for view in templates.find(lab)]
    return [fit.view.template for fit in templates.for_dataset(lab, dataset)]


def example(lab: LabContext) -> Updates:
    """A small matrix that works at once: starter reviews at 0, 1 and 4 shots, imported where they are missing."""
    imported = [view.name for view in datasets.find(lab, EXAMPLE, 20)[0] if view.dataset == EXAMPLE]
    name = imported[0] if imported else datasets.import_starter(lab, "sentiment", EXAMPLE).name
    sets = [view.name for view in datasets.find(lab, "", 200)[0]]
    return {
        "dataset": gr.update(choices=sets, value=name),
        "models": [EXAMPLE_MODEL],
        "templates": [EXAMPLE_TEMPLATE],
        "shots": "0, 1, 4",
        "selectors": ["random"],
        "rows": 60,
        "metrics": ["classification"],
        "samplings": ["greedy"],
        "max_new_tokens": 8,
    }


def from_recipe(lab: LabContext, name: str, dataset: str) -> dict[str, Any]:
    """The plan of a recipe as values of the form, on a dataset of the lab: the named one, else the newest that fits.

    Raises LabError where the lab has no data for it.
    """
    recipe = RECIPES.get(name)
    fitting = [view.name for view in recipes.fitting_versions(lab, recipe)]
    version = next((view for view in fitting if dataset in (view, view.partition("@")[0])), next(iter(fitting), None))
    if version is None:
        raise LabError(f"{recipe.title} needs {recipe.data.about}; the Recipes page takes a file with it.")
    chosen = recipes.choose_models(lab, recipe).models
    plan = recipes.matrix_plan(recipe, version, chosen, list(datasets.show(lab, version).splits))
    return {
        "dataset": version,
        "models": list(plan.models),
        "templates": list(plan.templates),
        "shots": ", ".join(map(str, plan.shots)),
        "rows": plan.rows,
        "metrics": [spec.metric for spec in plan.metrics],
        "selectors": list(plan.selectors),
        "shot_split": plan.shot_split,
        "split": plan.split,
        "samplings": [recipe.preset],
        "max_new_tokens": recipe.max_new_tokens,
        "seeds": ", ".join(map(str, plan.seeds)),
        "rendering": plan.rendering,
    }


def on_selectors(values: Values) -> Updates:
    selectors = values["selectors"] or []
    return {"fixed": gr.update(visible="fixed" in selectors), **pieces.show_embedding(selectors)}


def on_metrics(values: Values) -> Updates:
    """The settings of the chosen metrics."""
    return metric_settings.show_settings(values, [values["metrics"]])
