"""The form of a plan: one declaration a setting, a group a method and an objective, of which the chosen ones show."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.data import SPLITS
from genai_lab.errors import BadSetting, LabError
from genai_lab.services import datasets, models, prompting, templates
from genai_lab.services.training.estimates import GPUS
from genai_lab.settings import read_settings as settings_from
from genai_lab.training import BY_MODEL, MIXING, DatasetSpec, Plan, Training, architecture_of
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from pages.components.errors import warned
from pages.components.settings_form import read_settings, settings_form, show_settings

FIRST = ("max_steps", "per_device_batch_size", "learning_rate", "max_length", "max_target_length", "seed")
PRESETS = {"Quick look": (60, 8), "Standard": (300, 16), "Thorough": (1500, 16)}
NO_GPU = "any GPU"
RENDERED = 12  # templates whose first row is shown in the list
Update = Any


@dataclass
class Form:
    """`inputs` in the order that `plan_of` reads; `groups` are shown by name of (family, member); `pace` are steps and
    batch, which presets set; `words` are title, tags and gate of the run, `gpu` the one that memory is compared with.
    """

    inputs: list[Any]
    groups: dict[tuple[str, str], Any]
    objective: Any
    method: Any
    model: Any
    dataset: Any
    templates: Any
    preset: Any
    pace: list[Any]
    words: list[Any]
    gpu: Any


def generation_settings(family: Any) -> list[tuple[str, list[str]]]:
    """(member, names of its settings) for the members that have any."""
    return [(name, [item.name for item in fields(family.get(name).settings)]) for name in family]


def build(between: Callable[[], Any]) -> tuple[Form, Any]:
    """Draws the form: what every run chooses, then what `between` draws (the start), then everything else, closed."""
    with gr.Row():
        model = gr.Dropdown([], label="Base model", interactive=True, elem_id="ft-model")
        dataset = gr.Dropdown([], label="Dataset", interactive=True, elem_id="ft-dataset")
        chosen = gr.Dropdown(
            [], label="Templates", info="Suited ones first, with the dataset's first row.", multiselect=True,
            allow_custom_value=True, interactive=True, elem_id="ft-templates",
        )  # fmt: skip
    with gr.Row():
        objective = gr.Dropdown(
            [(OBJECTIVES.get(name).title, name) for name in OBJECTIVES],
            value="instruction", label="Objective", interactive=True, elem_id="ft-objective",
        )  # fmt: skip
        method = gr.Dropdown(
            [(METHODS.get(name).title, name) for name in METHODS],
            value="lora", label="Method", interactive=True, elem_id="ft-method",
        )  # fmt: skip
        preset = gr.Dropdown(
            [(f"{name}: {steps:,} steps of {batch} rows", name) for name, (steps, batch) in PRESETS.items()],
            value=None, label="Preset", interactive=True, elem_id="ft-preset",
        )  # fmt: skip
    drawn = between()
    with gr.Accordion("Details", open=False, elem_id="ft-details"):
        training = settings_form(Training, FIRST, prefix="ft", more="", across=6)
        groups, extra = _own()
        name, words, gpu = _names()
        mixture = _mixture()
        rest = [item.name for item in fields(Training) if item.name not in FIRST]
        with gr.Accordion("More settings", open=False, elem_id="ft-more-settings"):
            training |= settings_form(Training, rest, prefix="ft", more="", across=4)
    inputs = [model, objective, method, dataset, chosen, name, *mixture, *extra, *training.values()]
    pace = [training["max_steps"], training["per_device_batch_size"]]
    return Form(inputs, groups, objective, method, model, dataset, chosen, preset, pace, words, gpu), drawn


def _names() -> tuple[Any, list[Any], Any]:
    """(the name of the model, the words of the run, the GPU that memory is compared with)."""
    with gr.Row():
        name = gr.Textbox(
            "", label="Name of the model", info="Empty: made of base and method.", max_lines=1, elem_id="ft-name"
        )
        title = gr.Textbox(
            "", label="Title of the run", info="Empty: the model's name.", max_lines=1, elem_id="ft-title"
        )
        tags = gr.Textbox("", label="Tags", info="With commas.", max_lines=1, elem_id="ft-tags")
        gate = gr.Dropdown(
            [], label="Gate", info="Evaluations of the base that run again afterwards.", multiselect=True,
            interactive=True, elem_id="ft-gate",
        )  # fmt: skip
        gpu = gr.Dropdown(
            [NO_GPU, *GPUS], value=NO_GPU, label="GPU", info="What it takes is compared with.", interactive=True,
            elem_id="ft-gpu",
        )  # fmt: skip
    return name, [title, tags, gate], gpu


def _mixture() -> list[Any]:
    form = gr.Dropdown(
        [("By model", BY_MODEL), ("Chat template", "chat"), ("Plain text", "plain")], value=BY_MODEL,
        label="Prompt format", info="By model: its chat template, where it has one.", interactive=True,
        elem_id="ft-format",
    )  # fmt: skip
    with gr.Accordion("More datasets (multi-task) and splits", open=False, elem_id="ft-mixture"):
        more = gr.Textbox(
            "", label="More datasets", lines=2, max_lines=8, elem_id="ft-more", elem_classes=["mono"],
            info="One a line: DATASET | template, template | weight.",
            placeholder="starter-sentiment | classify-sentiment | 1",
        )  # fmt: skip
        with gr.Row():
            weight = gr.Number(
                1.0, label="Weight of the first", info="Of the dataset above, mixed by weight.", interactive=True,
                elem_id="ft-weight",
            )  # fmt: skip
            mixing = gr.Dropdown(
                [("by size", "size"), ("by size, tempered", "temperature"), ("by weight", "weights")],
                value=MIXING[0], label="Mixed", interactive=True, elem_id="ft-mixing",
            )  # fmt: skip
            cap = gr.Number(
                3000, label="Cap (rows)", info="No dataset counts for more; 0 is off.", precision=0, elem_id="ft-cap"
            )
            warmth = gr.Number(
                2.0, label="Temperature", info="1 is by size, more is nearer to equal.", elem_id="ft-temperature"
            )
            split = gr.Dropdown(
                ["train", "validation", "test"],
                value="train",
                label="Learned from",
                interactive=True,
                elem_id="ft-split",
            )
            held = gr.Dropdown(
                ["validation", "test", "train"],
                value="validation",
                label="Validated on",
                interactive=True,
                elem_id="ft-held",
            )
    return [more, weight, mixing, cap, warmth, split, held, form]


def _own() -> tuple[dict[tuple[str, str], Any], list[Any]]:
    """(a group for each objective and method, the inputs of all of them in order)."""
    groups: dict[tuple[str, str], Any] = {}
    extra: list[Any] = []
    for kind, family, first in (("objective", OBJECTIVES, "instruction"), ("method", METHODS, "lora")):
        for member, settings in generation_settings(family):
            with gr.Column(visible=member == first and bool(settings)) as groups[kind, member]:
                if settings:
                    own = family.get(member).settings
                    extra += settings_form(own, settings, prefix=f"ft-{member}", more="", across=4).values()
    return groups, extra


def plan_of(*values: Any) -> tuple[Plan, str]:
    """(the plan that the inputs describe, the model's name); raises LabError in one sentence."""
    model, objective, method, dataset, chosen, name, more, weight, mixing, cap, warmth, split, held, form, *rest = (
        values
    )
    if not dataset:
        raise LabError("No dataset is chosen; press an example, or import one on the Datasets page.")
    own: dict[tuple[str, str], dict[str, Any]] = {}
    for kind, family in (("objective", OBJECTIVES), ("method", METHODS)):
        for member, names in generation_settings(family):
            given, rest = rest[: len(names)], rest[len(names) :]
            if names and member in (objective, method):
                settings: Any = read_settings(family.get(member).settings, names, given)
                plain = family.get(member).settings()
                own[kind, member] = {
                    one: getattr(settings, one) for one in names if getattr(settings, one) != getattr(plain, one)
                }
    order = [*FIRST, *(item.name for item in fields(Training) if item.name not in FIRST)]
    plan = Plan(
        model=model or "",
        data=(DatasetSpec(dataset, tuple(chosen or ()), 0.0 if weight is None else weight), *_parts(more or "")),
        objective=objective,
        method=method,
        method_settings=own.get(("method", method), {}),
        objective_settings=own.get(("objective", objective), {}),
        mixing=mixing,
        cap=int(cap or 0),
        temperature=float(warmth or 0),
        split=split,
        validation_split=held,
        format=form or BY_MODEL,
        training=read_settings(Training, order, rest),
    )
    return plan, (name or "").strip()


def _parts(text: str) -> list[DatasetSpec]:
    made = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        dataset, *more = (part.strip() for part in line.split("|"))
        kept = tuple(one.strip() for one in (more[0] if more else "").split(",") if one.strip())
        try:
            weight = float(more[1]) if len(more) > 1 and more[1] else 1.0
        except ValueError:
            raise LabError(f"Line {number} of the datasets has the weight {more[1]!r}; write a number.") from None
        made.append(DatasetSpec(dataset, kept, weight))
    return made


def values_of(plan: Plan, name: str = "") -> list[Any]:
    """What puts a plan into the inputs; raises LabError for what none of them could show."""
    for noun, split in (("split", plan.split), ("validation_split", plan.validation_split)):
        if split not in SPLITS:
            raise BadSetting(noun, split, f"one of {', '.join(SPLITS)}")
    OBJECTIVES.get(plan.objective), METHODS.get(plan.method)
    first, *others = plan.data
    lines = [f"{one.dataset} | {', '.join(one.templates)} | {one.weight:.12g}" for one in others]
    made: list[Any] = [
        *(plan.model, plan.objective, plan.method, first.dataset, list(first.templates), name, "\n".join(lines)),
        *(first.weight, plan.mixing, plan.cap, plan.temperature, plan.split, plan.validation_split, plan.format),
    ]
    for family, chosen, given in (
        (OBJECTIVES, plan.objective, plan.objective_settings), (METHODS, plan.method, plan.method_settings),
    ):  # fmt: skip
        for member, names in generation_settings(family):
            one: Any = family.get(member)  # type: ignore[attr-defined]
            made += show_settings(settings_from(one.settings, given if member == chosen else {}, one.title), names)
    rest = [item.name for item in fields(Training) if item.name not in FIRST]
    return made + show_settings(plan.training, [*FIRST, *rest])


def offered(lab: LabContext, values: Sequence[Any] | None) -> list[Update]:
    """What can be chosen now, with these values where they are still there; what is not is left empty and told."""
    tunable = [view.card.name for view in models.catalogue(lab) if _tunable(view)]
    sets = [view.name for view in datasets.find(lab, "", 200)[0]]
    made = list(values or values_of(Plan("starter-seq2seq", (DatasetSpec(""),))))
    model = made[0] if made[0] in tunable else None
    dataset = next((one for one in sets if made[3] in (one, one.partition("@")[0])), None)
    if values is None:
        model, dataset = model or next(iter(tunable), None), next(iter(sets), None)
    if made[0] and model is None and values is not None:
        warned(f"{_why_not(lab, made[0])}; the field Base model is left empty.")
    if made[3] and dataset is None:
        warned(f"The dataset {made[3]} is not in use here; the field Dataset is left empty.")
    made[0] = gr.update(choices=tunable, value=model)
    made[3] = gr.update(choices=sets, value=dataset)
    choices, best = template_choices(lab, dataset)
    made[4] = gr.update(choices=choices, value=best if values is None and made[1] == "instruction" else made[4])
    return made


def template_choices(lab: LabContext, dataset: str | None) -> tuple[list[tuple[str, str]], list[str]]:
    """(label, name) of every template, those that suit the dataset first with its first row in them; and the best."""
    try:
        found = templates.for_dataset(lab, dataset) if dataset else []
        rows = prompting.rows_of(lab, dataset) if dataset else None
    except LabError:
        found, rows = [], None
    if rows is None:
        return [(view.template, view.template) for view in templates.find(lab)], []
    choices = []
    for place, one in enumerate(found):
        text = _first_row(one.view.value, rows) if one.fits and place < RENDERED else ""
        choices.append((f"{one.view.template}: {text}" if text else one.view.template, one.view.template))
    return choices, [one.view.template for one in found[:1] if one.suits]


def _first_row(template: Any, rows: prompting.Rows) -> str:
    """The beginning of the filled prompt, in one line."""
    try:
        text = " ".join(prompting.preview(template, rows).rendered.text.split())
    except LabError:
        return ""
    return text if len(text) <= 70 else f"{text[:69]}…"


def named_dataset(lab: LabContext, name: str, dataset: Update, chosen: Update) -> tuple[Update, Update]:
    """The fields of dataset and templates for a dataset that the address names; as they are where there is none."""
    known = [view.name for view in datasets.find(lab, "", 200)[0]]
    found = next((one for one in known if name in (one, one.partition("@")[0])), None)
    if found is None:
        warned(f"There is no dataset {name[:60]} here.")
        return dataset, chosen
    choices, best = template_choices(lab, found)
    return gr.update(choices=known, value=found), gr.update(choices=choices, value=best)


def dataset_chosen(lab: LabContext, dataset: str | None, objective: str) -> Update:
    """The templates for a dataset that was chosen by hand: the best one is taken."""
    choices, best = template_choices(lab, dataset)
    return gr.update(choices=choices, value=best if objective == "instruction" else [])


def _why_not(lab: LabContext, name: str) -> str:
    try:
        status = models.show(lab, name).status
    except LabError:
        return f"There is no model {name} here"
    return f"The base {name} {'cannot be tuned' if status in ('ready', 'loaded') else f'is {status}'}"


def _tunable(view: models.ModelView) -> bool:
    card = view.card
    here = view.status in ("ready", "loaded") and card.has_weights
    return here and not card.is_adapter


def suited(lab: LabContext, model: str | None, objective: str, method: str) -> list[Update]:
    """Objectives and methods that suit the model: the choices of both, and which groups are shown."""
    architecture = None
    if model:
        try:
            architecture = architecture_of(models.show(lab, model).card)
        except LabError:
            architecture = None
    fitting = [
        [(family.get(name).title, name) for name in family if architecture in (None, *family.get(name).architectures)]
        for family in (OBJECTIVES, METHODS)
    ]
    unsuited = getattr(OBJECTIVES.get(objective), "without", ())
    fitting[1] = [(title, name) for title, name in fitting[1] if name not in unsuited]
    chosen = [
        now if now in [name for _, name in choices] else choices[0][1]
        for now, choices in zip((objective, method), fitting, strict=True)
    ]
    shown = {("objective", chosen[0]), ("method", chosen[1])}
    groups = [
        gr.update(visible=(kind, member) in shown and bool(names))
        for kind, family in (("objective", OBJECTIVES), ("method", METHODS))
        for member, names in generation_settings(family)
    ]
    return [*(gr.update(choices=c, value=v) for c, v in zip(fitting, chosen, strict=True)), *groups]


def draft_of(text: str | None, count: int) -> list[Any] | None:
    """The values that the browser has kept, where they fit the form."""
    try:
        values = json.loads(text) if text else None
    except ValueError:
        return None
    return values if isinstance(values, list) and len(values) == count else None
