"""What can be chosen in the form of a plan: bases, datasets, templates, objectives and methods that go together."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import datasets, models, prompting, templates
from genai_lab.training import DatasetSpec, TrainingPlan, architecture_of
from genai_lab.training.objectives import OBJECTIVES
from pages.components.errors import show_warning
from pages.components.forms import Updates, Values
from pages.finetune.form import FAMILIES, members, write_plan

RENDERED = 12  # templates whose first row is shown in the list


def form_updates(lab: LabContext, values: Values | None) -> Updates:
    """The form with these values where they can still be chosen; a field whose value is gone is left empty, with a
    warning. Without values, a form to begin with.
    """
    fresh = values is None
    requested = dict(values) if values is not None else write_plan(TrainingPlan("starter-seq2seq", (DatasetSpec(""),)))
    bases = tunable(lab)
    sets = dataset_names(lab)
    model = requested["model"] if requested["model"] in bases else None
    dataset = dataset_called(sets, requested["dataset"])
    if fresh:
        model, dataset = model or next(iter(bases), None), next(iter(sets), None)
    elif requested["model"] and model is None:
        show_warning(f"{_why_not(lab, requested['model'])}; the field Base model is left empty.")
    if requested["dataset"] and dataset is None:
        show_warning(f"The dataset {requested['dataset']} is not available here; the field Dataset is left empty.")
    choices, best = template_choices(lab, dataset)
    selected = best if fresh and OBJECTIVES.get(requested["objective"]).scores_completions else requested["templates"]
    return {
        **requested,
        "model": gr.update(choices=bases, value=model),
        "dataset": gr.update(choices=sets, value=dataset),
        "templates": gr.update(choices=choices, value=selected),
    }


def tunable(lab: LabContext) -> list[str]:
    """The models that can be a base."""
    return [view.card.name for view in models.catalogue(lab) if _is_tunable(view)]


def dataset_names(lab: LabContext) -> list[str]:
    return [view.name for view in datasets.find(lab, "", 200)[0]]


def dataset_called(names: list[str], name: str | None) -> str | None:
    """The dataset of that name, or its newest version."""
    return next((dataset for dataset in names if name in (dataset, dataset.partition("@")[0])), None)


def template_choices(lab: LabContext, dataset: str | None) -> tuple[list[tuple[str, str]], list[str]]:
    """(label, name) of every template, those that suit the dataset first with its first row in them; and the best."""
    try:
        fits = templates.for_dataset(lab, dataset) if dataset else []
        rows = prompting.rows_of(lab, dataset) if dataset else None
    except LabError:
        fits, rows = [], None
    if rows is None:
        return [(view.template, view.template) for view in templates.find(lab)], []
    choices = []
    for n, fit in enumerate(fits):
        text = _first_row(fit.view.value, rows) if fit.fits and n < RENDERED else ""
        choices.append((f"{fit.view.template}: {text}" if text else fit.view.template, fit.view.template))
    return choices, [fit.view.template for fit in fits[:1] if fit.suits]


def _first_row(template: Any, rows: prompting.PromptRows) -> str:
    """The beginning of the filled prompt, in one line."""
    try:
        text = " ".join(prompting.preview(template, rows).rendered.text.split())
    except LabError:
        return ""
    return text if len(text) <= 70 else f"{text[:69]}…"


def updates_for_dataset(lab: LabContext, name: str) -> Updates:
    """Dataset and templates for a dataset that the address names; nothing where there is none."""
    names = dataset_names(lab)
    dataset = dataset_called(names, name)
    if dataset is None:
        show_warning(f"There is no dataset {name[:60]} here.")
        return {}
    choices, best = template_choices(lab, dataset)
    return {
        "dataset": gr.update(choices=names, value=dataset),
        "templates": gr.update(choices=choices, value=best),
    }


def on_dataset(lab: LabContext, values: Values) -> Updates:
    """The templates for a dataset that was chosen by hand; the best one is proposed."""
    choices, best = template_choices(lab, values["dataset"])
    fitting = OBJECTIVES.get(values["objective"]).scores_completions
    return {"templates": gr.update(choices=choices, value=best if fitting else [])}


def on_choice(lab: LabContext, values: Values) -> Updates:
    """Objectives and methods that suit the model: the choices of both, and which groups of settings are shown."""
    architecture = None
    if values["model"]:
        try:
            architecture = architecture_of(models.show(lab, values["model"]).card)
        except LabError:
            architecture = None
    updates: Updates = {}
    current = {}
    excludes = OBJECTIVES.get(values["objective"]).excludes
    for family, registry in FAMILIES.items():
        suited = [name for name in registry if architecture in (None, *registry.get(name).architectures)]
        if family == "method":
            suited = [name for name in suited if excludes(registry.get(name)) is None]
        current[family] = values[family] if values[family] in suited else suited[0]
        choices = [(registry.get(name).title, name) for name in suited]
        updates[family] = gr.update(choices=choices, value=current[family])
    for name, member, settings in members():
        family = name.partition(".")[0]
        visible = current[family] == member and bool(settings.__dataclass_fields__)
        updates[f"{name}.group"] = gr.update(visible=visible)
    return updates


def _why_not(lab: LabContext, name: str) -> str:
    try:
        status = models.show(lab, name).status
    except LabError:
        return f"There is no model {name} here"
    return f"The base {name} {'cannot be tuned' if status in ('ready', 'loaded') else f'is {status}'}"


def _is_tunable(view: models.ModelView) -> bool:
    card = view.card
    return view.status in ("ready", "loaded") and card.has_weights and card.source.backend != "adapter"
