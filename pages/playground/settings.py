"""The settings of the single tab: model, mode, presets, and where the values that stand there come from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.services import defaults, models, presets
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import PLAIN, drawn
from pages.components.settings_form import label_of, read_settings, show_settings

# As the form draws them: what stands under "More settings" comes last.
NAMES = [item.name for item in sorted(fields(Sampling), key=lambda item: bool(item.metadata.get("more")))]
NO_EFFECT_WHEN_GREEDY = ("temperature", "top_k", "top_p", "min_p", "typical_p")
STAYS = ("seed", "num_return_sequences")  # what is no property of a model stays when another one is chosen
YOURS = "Settings: your own."
Update = Any


@dataclass
class Chooser:
    """The inputs above the settings; `origin` says where the settings come from."""

    model: gr.Dropdown
    mode: gr.Radio
    preset: gr.Dropdown
    name: gr.Textbox
    save: gr.Button
    drop: gr.Button
    origin: gr.HTML


def build() -> Chooser:
    with gr.Group():
        model = gr.Dropdown([], label="Model", elem_id="pg-model", interactive=True)
        mode = gr.Radio([], label="Mode", elem_id="pg-mode", interactive=True)
    preset = gr.Dropdown([], label="Preset", elem_id="pg-preset", interactive=True)
    with gr.Accordion("Own presets", open=False):
        name = gr.Textbox(label="Name", placeholder="my settings", elem_id="pg-preset-name", max_lines=1)
        with gr.Row():
            save = gr.Button("Save settings", size="sm", elem_id="pg-preset-save")
            drop = gr.Button("Delete preset", size="sm", elem_id="pg-preset-delete")
    origin = drawn(
        "",
        html_template='{{#if value}}<p class="panel-note">{{value}}</p>{{/if}}',
        elem_classes=PLAIN,
        js_on_load=None,
        elem_id="pg-origin",
    )
    return Chooser(model, mode, preset, name, save, drop, origin)


def wire(lab: LabContext, chooser: Chooser, form: dict[str, Any]) -> None:
    values = list(form.values())
    filled = [chooser.mode, *values, chooser.origin, chooser.preset]
    # Only a choice of the user's: an example or a link sets model and settings together.
    chooser.model.input(guarded(use_model, lab), [chooser.model, *values], filled, queue=False, **PRIVATE)
    chooser.mode.input(
        guarded(use_mode, lab),
        [chooser.model, chooser.mode, *values],
        [*values, chooser.origin],
        queue=False,
        **PRIVATE,
    )
    hindered = [form[one] for one in NO_EFFECT_WHEN_GREEDY]
    form["greedy"].change(greyed, form["greedy"], hindered, queue=False, **PRIVATE)
    chooser.preset.input(
        guarded(use_preset, lab), [chooser.preset, *values], [*values, chooser.origin], queue=False, **PRIVATE
    )
    chooser.save.click(guarded(save_preset, lab), [chooser.name, *values], [chooser.preset, chooser.name], **PRIVATE)
    chooser.drop.click(guarded(delete_preset, lab), chooser.preset, chooser.preset, **PRIVATE)
    for one in values:
        one.input(None, None, chooser.origin, js=f"() => {YOURS!r}", queue=False, **PRIVATE)


def generation_settings(lab: LabContext, model: str, mode: str | None = None) -> tuple[Sampling, str]:
    """The settings that a model begins with in a mode, and in a sentence whose they are."""
    found = defaults.defaults(lab, model, mode)
    own = [label_of(name).lower() for name in NAMES if name in found.own]
    if not own:
        return found.sampling, "Settings: the lab's defaults."
    return found.sampling, f"Settings: {', '.join(own)} are {model}'s own; the rest are the lab's defaults."


def use_model(lab: LabContext, model: str | None, *values: Any) -> Sequence[Update]:
    """Another model begins with its own best mode and its own settings, whatever stood there for the one before."""
    if not model:
        return gr.skip()
    shown, origin = _begun(lab, model, None, values)
    return [modes_of(lab, model, None), *shown, origin, gr.update(value=None)]


def use_mode(lab: LabContext, model: str | None, mode: str | None, *values: Any) -> Sequence[Update]:
    """Settings that are still those of a mode become those of the other one; what was changed stays."""
    if not model or not mode:
        return gr.skip()
    for other in models.show(lab, model).card.modes:
        if _begun(lab, model, other, values)[0] == list(values):
            shown, origin = _begun(lab, model, mode, values)
            return [*shown, origin]
    return gr.skip()


def _begun(lab: LabContext, model: str, mode: str | None, values: Sequence[Any]) -> tuple[list[Any], str]:
    own, origin = generation_settings(lab, model, mode)
    now = dict(zip(NAMES, values, strict=True))
    shown = dict(zip(NAMES, show_settings(own, NAMES), strict=True)) | {name: now[name] for name in STAYS}
    return list(shown.values()), origin


def modes_of(lab: LabContext, model: str, mode: str | None) -> Update:
    """The model's modes, with `mode` chosen where it has it, else its best one."""
    if not model:
        return gr.skip()
    known = models.show(lab, model).card.modes
    return gr.update(choices=list(known), value=mode if mode in known else known[0] if known else None)


def greyed(greedy: bool) -> list[Update]:
    return [gr.update(interactive=not greedy) for _ in NO_EFFECT_WHEN_GREEDY]


def use_preset(lab: LabContext, name: str, *values: Any) -> list[Any]:
    """The preset's settings; length, seed, stop strings and number of completions stay as they are."""
    now = read_settings(Sampling, NAMES, values)
    chosen = presets.presets(lab)[name].sampling
    kept = {one: getattr(now, one) for one in ("max_new_tokens", "seed", "stop", "num_return_sequences")}
    return [*show_settings(replace(chosen, **kept), NAMES), f"Settings: the preset {name}."]


def save_preset(lab: LabContext, name: str, *values: Any) -> tuple[Update, str]:
    presets.save_preset(lab, name or "", read_settings(Sampling, NAMES, values))
    notice(f"Saved the preset {name.strip()}.")
    return gr.update(choices=list(presets.presets(lab)), value=name.strip()), ""


def delete_preset(lab: LabContext, name: str | None) -> Update:
    presets.delete_preset(lab, name or "")
    return gr.update(choices=list(presets.presets(lab)), value=None)
