"""The form of a policy's plan: the few settings that matter; whatever else a plan says stays as it was.

The plan that the form began with is kept beside it as YAML ("rest"), so that an example's schedule and evaluations, or
what was set in Fine-tune, are those of the run.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.rewards import RewardPart, read_parts
from genai_lab.services import models
from genai_lab.settings import fields_of
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from pages.components.errors import show_warning
from pages.components.forms import Form, Updates, Values, read_draft
from pages.finetune import choices

POLICIES = [name for name in OBJECTIVES if OBJECTIVES.get(name).rolls_out]
PROMPTS = DatasetSpec("starter-rude-requests")
GENTLE = Training(
    max_steps=30, per_device_batch_size=8, learning_rate=1.5e-3, lr_scheduler_type="constant", warmup_ratio=0.0,
    eval_steps=5, validation_rows=64,
)  # fmt: skip
TRUTHS = ["0 * helpful_reply", "0 * helpful_reply truth=rude"]  # measured, not learned
POLITE = {"rewards": ["classifier:starter-toxicity", *TRUTHS], "max_completion_length": 22, "target_kl": 6.0}
EXAMPLES: dict[str, TrainingPlan] = {
    "Polite replies (GRPO, seq2seq)": TrainingPlan(
        "starter-seq2seq", (PROMPTS,), objective="grpo", objective_settings={**POLITE, "num_generations": 4},
        training=GENTLE,
    ),
    "Polite replies by PPO (decoder)": TrainingPlan(
        "starter-causal", (PROMPTS,), objective="ppo", objective_settings={**POLITE, "num_generations": 1},
        training=replace(GENTLE, per_device_batch_size=32, learning_rate=7.5e-4),
    ),
    "A planted hack: length is paid (RLOO)": TrainingPlan(
        "starter-causal", (PROMPTS,), objective="rloo",
        objective_settings={
            "rewards": ["0.5 * classifier:starter-toxicity", "0.1667 * length", *TRUTHS],
            "num_generations": 4, "beta": 0.02, "max_completion_length": 28,
        },
        training=replace(GENTLE, max_steps=20, learning_rate=2e-3),
    ),
}  # fmt: skip
INPUTS = (
    "model", "dataset", "templates", "reward", "weight", "more_rewards", "objective", "method", "max_steps",
    "per_device_batch_size", "num_generations", "max_completion_length", "beta", "target_kl", "learning_rate", "seed",
    "name", "rest",
)  # fmt: skip
OF_TRAINING = ("max_steps", "per_device_batch_size", "learning_rate", "seed")
OF_OBJECTIVE = ("num_generations", "max_completion_length", "beta", "target_kl")
SCORERS = {"reward_model": "Reward model", "classifier": "Classifier"}


def draw(form: Form) -> None:
    with gr.Row():
        form.add(
            model=gr.Dropdown(
                [], label="Base model", info="It becomes the policy.", interactive=True, elem_id="al-model"
            ),
            dataset=gr.Dropdown(
                [], label="Dataset of prompts", info="Answers in it are not learned.", interactive=True,
                elem_id="al-dataset",
            ),
            templates=gr.Dropdown(
                [], label="Templates", info="Empty: prompts as they stand.", multiselect=True, allow_custom_value=True,
                interactive=True, elem_id="al-templates",
            ),
        )  # fmt: skip
    with gr.Row():
        form.add(
            reward=gr.Dropdown(
                [], label="Reward", info="A reward model or a classifier, which scores completions.",
                interactive=True, elem_id="al-reward",
            ),
            weight=gr.Number(1.0, label="Its weight", interactive=True, elem_id="al-weight", min_width=90, scale=0),
            more_rewards=gr.Textbox(
                "", label="More parts of the reward", lines=2, max_lines=6, elem_id="al-more-rewards",
                info="One per line: WEIGHT * KIND; a weight of 0 measures without learning.",
                placeholder="-0.05 * length\n0 * helpful_reply", elem_classes=["mono"],
            ),
        )  # fmt: skip
    _draw_settings(form)
    form.add(rest=gr.Textbox("", visible="hidden", show_label=False, container=False))


def _draw_settings(form: Form) -> None:
    methods = [(METHODS.get(name).title, name) for name in METHODS if _suits(name)]
    with gr.Row():
        form.add(
            objective=gr.Dropdown(
                [(OBJECTIVES.get(name).title, name) for name in POLICIES], value="grpo", label="Objective",
                interactive=True, elem_id="al-objective",
            ),
            method=gr.Dropdown(methods, value="lora", label="Method", interactive=True, elem_id="al-method"),
            name=gr.Textbox(
                "", label="Model name", info="Empty: named after base and method.", max_lines=1, elem_id="al-name"
            ),
        )  # fmt: skip
    numbers = {item.name: item for cls in (Training, OBJECTIVES.get("grpo").settings) for item in fields_of(cls)}
    labels = {"per_device_batch_size": "Prompts per step"}
    with gr.Row():
        for setting in (*OF_TRAINING[:2], *OF_OBJECTIVE, *OF_TRAINING[2:]):
            item = numbers[setting]
            label = labels.get(setting, item.label) + (f" ({item.unit})" if item.unit else "")
            number = gr.Number(
                item.default, label=label, precision=0 if item.base is int else None, interactive=True, min_width=130,
                elem_id=f"al-{setting.replace('_', '-')}",
            )  # fmt: skip
            form.add({setting: number})


def _suits(method: str) -> bool:
    return OBJECTIVES.get("grpo").excludes(METHODS.get(method)) is None


def read_plan(values: Values) -> tuple[TrainingPlan, str]:
    """(the plan that the inputs describe, the model's name); raises LabError in one sentence."""
    if not values["dataset"]:
        raise LabError("No dataset of prompts is chosen; press an example, or import one on the Datasets page.")
    rewards = read_rewards(values)
    began = TrainingPlan.from_yaml(values["rest"]) if values["rest"] else EXAMPLES[next(iter(EXAMPLES))]
    objective = OBJECTIVES.get(values["objective"])
    kept = _known(began.objective_settings, objective.settings)
    chosen = {name: _number(values[name]) for name in OF_OBJECTIVE}
    plan = replace(
        began,
        model=values["model"] or "",
        data=(DatasetSpec(values["dataset"], tuple(values["templates"] or ())), *began.data[1:]),
        objective=values["objective"],
        method=values["method"],
        method_settings=_known(began.method_settings, METHODS.get(values["method"]).settings),
        objective_settings={**kept, **{k: v for k, v in chosen.items() if v is not None}, "rewards": rewards},
        training=replace(began.training, **{name: _number(values[name]) for name in OF_TRAINING}),
    )
    if chosen["target_kl"] is None:
        plan.objective_settings.pop("target_kl", None)
    objective.settings_of(plan)  # raises for what is out of range
    return plan, (values["name"] or "").strip()


def _known(settings: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Those of the settings that the dataclass has."""
    names = {item.name for item in fields_of(kind)}
    return {name: value for name, value in settings.items() if name in names}


def read_rewards(values: Values) -> list[str]:
    """The parts of the score as texts; raises LabError for one that is none, or where nothing is rewarded."""
    weight = 1.0 if values["weight"] is None else float(values["weight"])
    first = [f"{weight:g} * {values['reward']}"] if values["reward"] else []
    parts = read_parts([*first, *(values["more_rewards"] or "").splitlines()])
    if not any(part.learned for part in parts):
        raise LabError("Nothing is rewarded; choose a reward model or a classifier, or write a part with a weight.")
    return [str(part) for part in parts]


def write_plan(plan: TrainingPlan, name: str = "") -> dict[str, Any]:
    """The values that put a plan into the inputs."""
    settings = OBJECTIVES.get(plan.objective).settings_of(plan)
    parts = list(settings.parts)
    first = next((part for part in parts if part.kind in SCORERS and part.learned), None)
    return {
        "model": plan.model,
        "dataset": plan.data[0].dataset,
        "templates": list(plan.data[0].templates),
        "reward": scorer_text(first) if first else None,
        "weight": first.weight if first else 1.0,
        "more_rewards": "\n".join(str(part) for part in parts if part is not first),
        "objective": plan.objective,
        "method": plan.method,
        **{setting: getattr(plan.training, setting) for setting in OF_TRAINING},
        **{setting: getattr(settings, setting) for setting in OF_OBJECTIVE},
        "name": name,
        "rest": plan.to_yaml(),
    }


def form_updates(lab: LabContext, values: dict[str, Any] | None) -> Updates:
    """The form with these values where they can still be chosen; without values, an example's on the first dataset."""
    asked = values or {**write_plan(EXAMPLES[next(iter(EXAMPLES))]), "dataset": PROMPTS.dataset}
    bases, sets, scorers = choices.tunable(lab), choices.dataset_names(lab), scorer_choices(lab)
    model = asked["model"] if asked["model"] in bases else None
    dataset = choices.dataset_called(sets, asked["dataset"])
    reward = asked["reward"] if asked["reward"] in [text for _, text in scorers] else None
    for field, given, chosen in (
        ("Base model", asked["model"], model), ("Dataset of prompts", asked["dataset"], dataset),
        ("Reward", asked["reward"], reward),
    ):  # fmt: skip
        if values is not None and given and chosen is None:
            show_warning(f"{given} cannot be chosen here; the field {field} is left empty.")
    templates, _ = choices.template_choices(lab, dataset)
    return {
        **asked,
        "model": gr.update(choices=bases, value=model),
        "dataset": gr.update(choices=sets, value=dataset),
        "templates": gr.update(choices=templates, value=asked["templates"]),
        "reward": gr.update(choices=scorers, value=reward),
    }


def scorer_choices(lab: LabContext) -> list[tuple[str, str]]:
    """(label, part of a reward) of each reward model and classifier that can be asked."""
    scorers = []
    for view in models.catalogue(lab):
        if view.status not in ("ready", "loaded"):
            continue
        kind = "reward_model" if view.card.role == "reward" else "classifier"
        if kind == "reward_model" or view.card.family == "classifier":
            scorers.append((f"{SCORERS[kind]} {view.card.name}", scorer_text(RewardPart(kind, view.card.name))))
    return scorers


def read_plan_draft(text: str | None) -> dict[str, Any] | None:
    """The values that the browser has kept, completed with those of an example; None where there are none."""
    draft = read_draft(text, INPUTS)
    if draft is None:
        return None
    values = {**write_plan(EXAMPLES[next(iter(EXAMPLES))]), **draft}
    return values if values["objective"] in POLICIES and values["method"] in list(METHODS) else None


def scorer_text(part: RewardPart) -> str:
    """The part without its weight."""
    return str(replace(part, weight=1.0))


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
