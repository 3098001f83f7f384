"""The form of a plan: its inputs, the plan that they describe, and a plan written into them.

Settings of objectives, methods and training are sections: "objective.dpo.beta", "method.lora.rank",
"training.learning_rate". The group of a member is shown while it is chosen.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from genai_lab.data import SPLITS
from genai_lab.errors import BadSetting, LabError
from genai_lab.registry import Registry
from genai_lab.services.training.estimates import GPUS
from genai_lab.settings import fields_of
from genai_lab.settings import read_settings as checked_settings
from genai_lab.training import BY_MODEL, MIXING, DatasetSpec, Training, TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import RENAMED_METHODS, RENAMED_OBJECTIVES
from pages.components.forms import Form, Updates, Values, in_section, read_draft, section
from pages.components.settings_inputs import former_names, read_settings, write_settings

FAMILIES: Mapping[str, Registry[Any]] = {"objective": OBJECTIVES, "method": METHODS}
RENAMED = {"objective": RENAMED_OBJECTIVES, "method": RENAMED_METHODS}
START = {"objective": "instruction", "method": "lora"}
FIRST = ("max_steps", "per_device_batch_size", "learning_rate", "max_length", "max_target_length", "seed")
REST = tuple(item.name for item in fields_of(Training) if item.name not in FIRST)
PRESETS = {"Quick look": (60, 8), "Standard": (300, 16), "Thorough": (1500, 16)}
PRESET_FIELDS = ("training.max_steps", "training.per_device_batch_size")
ABOUT_RUN = ("title", "tags", "gate")  # of the run, not of the plan
PLAN = (
    "model", "objective", "method", "dataset", "templates", "name", "other_datasets", "weight", "mixing", "cap",
    "temperature", "split", "validation_split", "format", "other_models",
)  # fmt: skip
ANY_GPU = "any GPU"
_PAIRS = ("votes", "use_weights", "share", "left_out", "flipped")
# A draft of earlier versions is a list of the values in this order.
FORMER_DRAFT = (
    *PLAN[:-1],
    *(f"objective.dpo.{name}" for name in (*_PAIRS, "beta", "loss", "smoothing")),
    *("objective.instruction.turns", "objective.mlm.rate"),
    *(f"objective.reward.{name}" for name in (*_PAIRS, "centring", "dropout", "use_margin")),
    *("objective.span_corruption.rate", "objective.span_corruption.span"),
    *(f"method.adalora.{name}" for name in ("rank", "start", "alpha", "orthogonal")),
    *("method.houlsby.width", "method.houlsby.activation"),
    *(f"method.dora.{name}" for name in ("rank", "alpha", "dropout", "targets")),
    "method.last_layers.layers",
    *(f"method.lora.{name}" for name in ("rank", "alpha", "dropout", "targets")),
    *("method.p_tuning.tokens", "method.p_tuning.hidden", "method.pattern.names"),
    *("method.prefix_tuning.tokens", "method.prompt_tuning.tokens"),
    *(f"method.qlora.{name}" for name in ("rank", "alpha", "dropout", "targets")),
    *(f"training.{name}" for name in (
        "steps", "batch", "learning_rate", "length", "target_length", "seed", "epochs", "accumulation", "schedule",
        "warmup", "weight_decay", "clip", "grouping", "precision", "checkpointing", "evaluate_every", "patience",
        "validation_rows", "score_rows", "processes", "sharding",
    )),
)  # fmt: skip


def members() -> list[tuple[str, str, type[Any]]]:
    """(section, member, settings class) of every objective and method."""
    return [
        (f"{family}.{member}", member, registry.get(member).settings)
        for family, registry in FAMILIES.items()
        for member in registry
    ]


def groups() -> list[str]:
    """The names under which the form holds the group of each objective and method."""
    return [f"{name}.group" for name, _, _ in members()]


def input_names() -> list[str]:
    """Every input that makes the plan."""
    member_settings = [f"{name}.{item.name}" for name, _, settings in members() for item in fields_of(settings)]
    return [*PLAN, *member_settings, *(f"training.{name}" for name in (*FIRST, *REST))]


def draw(form: Form, between: Callable[[], None]) -> None:
    """Draws what every run chooses, then what `between` draws (the start), then everything else, closed."""
    _draw_choice(form)
    between()
    with gr.Accordion("Details", open=False, elem_id="ft-details"):
        form.add_settings(Training, FIRST, section="training", prefix="ft", more="", across=6)
        _draw_own_settings(form)
        _draw_names(form)
        _draw_mixture(form)
        with gr.Accordion("More settings", open=False, elem_id="ft-more-settings"):
            form.add_settings(Training, REST, section="training", prefix="ft", more="", across=4)


def _draw_choice(form: Form) -> None:
    with gr.Row():
        form.add(
            model=gr.Dropdown([], label="Base model", interactive=True, elem_id="ft-model"),
            dataset=gr.Dropdown([], label="Dataset", interactive=True, elem_id="ft-dataset"),
            templates=gr.Dropdown(
                [], label="Templates",
                info="Those that fit the dataset come first, filled with its first row.", multiselect=True,
                allow_custom_value=True, interactive=True, elem_id="ft-templates",
            ),
        )  # fmt: skip
    with gr.Row():
        for family, registry in FAMILIES.items():
            choices = [(registry.get(name).title, name) for name in registry]
            menu = gr.Dropdown(
                choices, value=START[family], label=family.capitalize(), interactive=True, elem_id=f"ft-{family}"
            )
            form.add({family: menu})
        presets = [(f"{name}: {steps:,} steps of {batch} rows", name) for name, (steps, batch) in PRESETS.items()]
        form.add(preset=gr.Dropdown(presets, value=None, label="Preset", interactive=True, elem_id="ft-preset"))


def _draw_own_settings(form: Form) -> None:
    """A group for each objective and method."""
    for name, member, settings in members():
        names = [item.name for item in fields_of(settings)]
        with gr.Column(visible=member in START.values() and bool(names)) as group:
            if names:
                form.add_settings(settings, names, section=name, prefix=f"ft-{member}", more="", across=4)
        form.add({f"{name}.group": group})


def _draw_names(form: Form) -> None:
    with gr.Row():
        form.add(
            name=gr.Textbox(
                "", label="Model name", info="Empty: named after base and method.", max_lines=1, elem_id="ft-name"
            ),
            title=gr.Textbox(
                "", label="Run title", info="Empty: the model's name.", max_lines=1, elem_id="ft-title"
            ),
            tags=gr.Textbox("", label="Tags", info="Separated by commas.", max_lines=1, elem_id="ft-tags"),
            gate=gr.Dropdown(
                [], label="Gate", info="Evaluations of the base to repeat after training.", multiselect=True,
                interactive=True, elem_id="ft-gate",
            ),
            gpu=gr.Dropdown(
                [ANY_GPU, *GPUS], value=ANY_GPU, label="GPU", info="Its memory is compared with what the run needs.",
                interactive=True, elem_id="ft-gpu",
            ),
        )  # fmt: skip


def _draw_mixture(form: Form) -> None:
    with gr.Row():
        form.add(
            format=gr.Dropdown(
                [("By model", BY_MODEL), ("Chat template", "chat"), ("Plain text", "plain")], value=BY_MODEL,
                label="Prompt format", info="By model: the chat template if the model has one.", interactive=True,
                elem_id="ft-format",
            ),
            other_models=gr.Textbox(
                "", label="Other models", info="Models that the objective needs, one per line: role: model.", lines=1,
                max_lines=4, placeholder="reference: starter-causal", elem_id="ft-other-models",
            ),
        )  # fmt: skip
    with gr.Accordion("More datasets (multi-task) and splits", open=False, elem_id="ft-mixture"):
        form.add(
            other_datasets=gr.Textbox(
                "", label="More datasets", lines=2, max_lines=8, elem_id="ft-more", elem_classes=["mono"],
                info="One per line: DATASET | template, template | weight.",
                placeholder="starter-sentiment | classify-sentiment | 1",
            )
        )  # fmt: skip
        with gr.Row():
            form.add(_mixing_inputs())


def _mixing_inputs() -> dict[str, Any]:
    splits = list(SPLITS)
    return {
        "weight": gr.Number(
            1.0, label="First dataset's weight", info="Used when mixing by weight.", interactive=True,
            elem_id="ft-weight",
        ),
        "mixing": gr.Dropdown(
            [("by size", "size"), ("by size, tempered", "temperature"), ("by weight", "weights")],
            value=MIXING[0], label="Mixing", interactive=True, elem_id="ft-mixing",
        ),
        "cap": gr.Number(
            3000, label="Cap (rows)", info="At most this many per dataset; 0 is off.", precision=0, elem_id="ft-cap"
        ),
        "temperature": gr.Number(
            2.0, label="Temperature", info="1 = proportional to size; higher = more uniform.",
            elem_id="ft-temperature",
        ),
        "split": gr.Dropdown(
            splits, value="train", label="Training split", interactive=True, elem_id="ft-split"
        ),
        "validation_split": gr.Dropdown(
            splits, value="validation", label="Validation split", interactive=True, elem_id="ft-held"
        ),
    }  # fmt: skip


def read_plan(values: Values) -> tuple[TrainingPlan, str]:
    """(the plan that the inputs describe, the model's name); raises LabError in one sentence."""
    dataset, weight = values["dataset"], values["weight"]
    if not dataset:
        raise LabError("No dataset is chosen; press an example, or import one on the Datasets page.")
    first = DatasetSpec(dataset, tuple(values["templates"] or ()), 0.0 if weight is None else weight)
    plan = TrainingPlan(
        model=values["model"] or "",
        data=(first, *_read_datasets(values["other_datasets"] or "")),
        objective=values["objective"],
        method=values["method"],
        objective_settings=_own_settings("objective", values),
        method_settings=_own_settings("method", values),
        models=_read_models(values["other_models"] or ""),
        mixing=values["mixing"],
        cap=int(values["cap"] or 0),
        temperature=float(values["temperature"] or 0),
        split=values["split"],
        validation_split=values["validation_split"],
        format=values["format"] or BY_MODEL,
        training=read_settings(Training, section(values, "training")),
    )
    return plan, (values["name"] or "").strip()


def _own_settings(family: str, values: Values) -> dict[str, Any]:
    """The settings of the chosen objective or method that are not the defaults."""
    cls: type[Any] = FAMILIES[family].get(values[family]).settings
    settings, defaults = read_settings(cls, section(values, f"{family}.{values[family]}")), cls()
    names = [item.name for item in fields_of(cls)]
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(defaults, name)}


def _read_datasets(text: str) -> list[DatasetSpec]:
    specs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        dataset, templates, weight = (*(part.strip() for part in line.split("|")), "", "")[:3]
        names = tuple(name.strip() for name in templates.split(",") if name.strip())
        try:
            specs.append(DatasetSpec(dataset, names, float(weight or 1.0)))
        except ValueError:
            raise LabError(f"Line {number} of the datasets has the weight {weight!r}; write a number.") from None
    return specs


def _read_models(text: str) -> dict[str, str]:
    models = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        role, colon, model = (part.strip() for part in line.partition(":"))
        if not (role and colon and model):
            raise LabError(f"Other models has the line {line[:60]!r}; write role: model, such as reference: my-model.")
        models[role] = model
    return models


def write_plan(plan: TrainingPlan, name: str = "") -> dict[str, Any]:
    """The values that put a plan into the inputs; raises LabError for what none of them could show."""
    for field, split in (("split", plan.split), ("validation_split", plan.validation_split)):
        if split not in SPLITS:
            raise BadSetting(field, split, f"one of {', '.join(SPLITS)}")
    first, *others = plan.data
    lines = [f"{spec.dataset} | {', '.join(spec.templates)} | {spec.weight:.12g}" for spec in others]
    values: dict[str, Any] = {
        "model": plan.model,
        "objective": plan.objective,
        "method": plan.method,
        "dataset": first.dataset,
        "templates": list(first.templates),
        "name": name,
        "other_datasets": "\n".join(lines),
        "weight": first.weight,
        "mixing": plan.mixing,
        "cap": plan.cap,
        "temperature": plan.temperature,
        "split": plan.split,
        "validation_split": plan.validation_split,
        "format": plan.format,
        "other_models": "\n".join(f"{role}: {model}" for role, model in plan.models.items()),
        **in_section(write_settings(plan.training), "training"),
    }
    own_settings = {"objective": plan.objective_settings, "method": plan.method_settings}
    for family, registry in FAMILIES.items():
        registry.get(values[family])  # raises LabError for an unknown name
        for member in registry:
            entry = registry.get(member)
            given_settings = own_settings[family] if member == values[family] else {}
            settings = checked_settings(entry.settings, given_settings, entry.title)
            values |= in_section(write_settings(settings), f"{family}.{member}")
    return values


def read_plan_draft(text: str | None) -> dict[str, Any] | None:
    """The values that the browser has kept, completed with those of an empty form; None where there are none."""
    aliases = {f"training.{former}": f"training.{name}" for former, name in former_names(Training).items()}
    for name, _, settings in members():
        aliases |= {f"{name}.{former}": f"{name}.{now}" for former, now in former_names(settings).items()}
    draft = read_draft(text, input_names(), FORMER_DRAFT, aliases)
    if draft is None:
        return None
    values = {**write_plan(TrainingPlan("none", (DatasetSpec(""),))), "model": None, **draft}
    for family, registry in FAMILIES.items():
        values[family] = RENAMED[family].get(values[family], values[family])
        if values[family] not in list(registry):
            values[family] = START[family]
    return values


def on_preset(values: Values) -> Updates:
    if values["preset"] not in PRESETS:
        return {}
    return dict(zip(PRESET_FIELDS, PRESETS[values["preset"]], strict=True))
