"""The settings of the Single tab: model, mode, presets, and whose values the fields hold."""

from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.services import defaults, models, presets
from pages.components.errors import INTERNAL, notice
from pages.components.forms import Form, Updates, Values
from pages.components.head import PLAIN, escaped_html
from pages.components.settings_inputs import read_settings, setting_label, setting_names, write_settings

SETTINGS = setting_names(Sampling)
NO_EFFECT_WHEN_GREEDY = ("temperature", "top_k", "top_p", "min_p", "typical_p")
OF_THE_TASK = ("seed", "num_return_sequences")  # properties of no model: they stay when another one is chosen
NOT_OF_PRESETS = ("max_new_tokens", "seed", "stop", "num_return_sequences")
YOURS = "Settings: custom."
Update = Any


def draw() -> dict[str, Any]:
    """The inputs above the settings; `origin` says where the settings come from."""
    with gr.Group():
        model = gr.Dropdown([], label="Model", elem_id="pg-model", interactive=True)
        mode = gr.Radio([], label="Mode", elem_id="pg-mode", interactive=True)
    preset = gr.Dropdown([], label="Preset", elem_id="pg-preset", interactive=True)
    with gr.Accordion("Your presets", open=False):
        name = gr.Textbox(label="Name", placeholder="my settings", elem_id="pg-preset-name", max_lines=1)
        with gr.Row():
            save = gr.Button("Save settings", size="sm", elem_id="pg-preset-save")
            delete = gr.Button("Delete preset", size="sm", elem_id="pg-preset-delete")
    origin = escaped_html(
        "",
        html_template='{{#if value}}<p class="panel-note">{{value}}</p>{{/if}}',
        elem_classes=PLAIN,
        js_on_load=None,
        elem_id="pg-origin",
    )
    return {
        "model": model,
        "mode": mode,
        "preset": preset,
        "preset_name": name,
        "save_preset": save,
        "delete_preset": delete,
        "origin": origin,
    }


def wire(lab: LabContext, page: Form) -> None:
    """Answers of the lab are proposals: a setting that was changed while they were on their way keeps its value."""
    fields, yours = [*SETTINGS, "origin"], {"origin": YOURS}
    # Only a choice of the user's: an example or a link sets model and settings together.
    page.propose(
        page["model"].input,
        use_model,
        lab,
        choices=["model"],
        inputs=fields,
        outputs=["mode", *fields, "preset"],
        otherwise=yours,
    )
    page.propose(
        page["mode"].input, use_mode, lab, choices=["model", "mode"], inputs=fields, outputs=fields, otherwise=yours
    )
    page.propose(
        page["preset"].input, use_preset, lab, choices=["preset"], inputs=fields, outputs=fields, otherwise=yours
    )
    page.on(page["greedy"].change, on_greedy, inputs=["greedy"], outputs=NO_EFFECT_WHEN_GREEDY, queue=False)
    page.on(
        page["save_preset"].click,
        save_preset,
        lab,
        inputs=["preset_name", *SETTINGS],
        outputs=["preset", "preset_name"],
    )
    page.on(page["delete_preset"].click, delete_preset, lab, inputs=["preset"], outputs=["preset"])
    for component in page.pick(SETTINGS):
        component.input(None, None, page["origin"], js=f"() => {YOURS!r}", queue=False, **INTERNAL)


def generation_settings(lab: LabContext, model: str, mode: str | None = None) -> tuple[Sampling, str]:
    """The settings that a model begins with in a mode, and a sentence that says whose they are."""
    start = defaults.defaults(lab, model, mode)
    defaults_of_model = [setting_label(Sampling, name) for name in SETTINGS if name in start.own]
    if not defaults_of_model:
        return start.sampling, "Settings: the lab's defaults."
    return (
        start.sampling,
        f"Settings: {', '.join(defaults_of_model)} are {model}'s own; the rest are the lab's defaults.",
    )


def use_model(lab: LabContext, values: Values) -> Updates:
    """Another model begins with its own best mode and its own settings."""
    if not values["model"]:
        return {}
    settings = _starting_settings(lab, values["model"], None, values)
    return {"mode": modes_of(lab, values["model"], None), **settings, "preset": gr.update(value=None)}


def use_mode(lab: LabContext, values: Values) -> Updates:
    """Settings that are still those of another mode become those of this one; changed ones stay."""
    model, mode = values["model"], values["mode"]
    if not model or not mode:
        return {}
    current = {name: values[name] for name in SETTINGS}
    for other in models.show(lab, model).card.modes:
        start = _starting_settings(lab, model, other, values)
        if all(start[name] == value for name, value in current.items()):
            return _starting_settings(lab, model, mode, values)
    return {}


def _starting_settings(lab: LabContext, model: str, mode: str | None, values: Values) -> Updates:
    """The settings that a model begins with in a mode, and their origin."""
    defaults_of_model, origin = generation_settings(lab, model, mode)
    return {**write_settings(defaults_of_model), **{name: values[name] for name in OF_THE_TASK}, "origin": origin}


def modes_of(lab: LabContext, model: str | None, mode: str | None) -> Update:
    """The model's modes, with `mode` chosen where it has it, else its best one."""
    if not model:
        return gr.skip()
    modes = models.show(lab, model).card.modes
    return gr.update(choices=list(modes), value=mode if mode in modes else modes[0] if modes else None)


def on_greedy(values: Values) -> Updates:
    return {name: gr.update(interactive=not values["greedy"]) for name in NO_EFFECT_WHEN_GREEDY}


def use_preset(lab: LabContext, values: Values) -> Updates:
    """The preset's settings; length, seed, stop strings and number of completions stay as they are."""
    name = values["preset"]
    if not name:
        return {}
    current, preset = read_settings(Sampling, values), presets.presets(lab)[name].sampling
    settings = replace(preset, **{field: getattr(current, field) for field in NOT_OF_PRESETS})
    return {**write_settings(settings), "origin": f"Settings: the preset {name}."}


def save_preset(lab: LabContext, values: Values) -> Updates:
    name = (values["preset_name"] or "").strip()
    presets.save_preset(lab, name, read_settings(Sampling, values))
    notice(f"Saved the preset {name}.")
    return {"preset": gr.update(choices=list(presets.presets(lab)), value=name), "preset_name": ""}


def delete_preset(lab: LabContext, values: Values) -> Updates:
    presets.delete_preset(lab, values["preset"] or "")
    return {"preset": gr.update(choices=list(presets.presets(lab)), value=None)}
