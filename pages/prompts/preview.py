"""The template filled with a real row: its shots, its tokens, and how many shots the context holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.prompts import Fitted, Template
from genai_lab.prompts.few_shot import SELECTORS, ShotSettings
from genai_lab.services import models, prompting, templates
from pages.components.errors import PRIVATE, guarded
from pages.components.head import drawn, section
from pages.components.stats import NOTHING, stat_row, stat_values
from pages.prompts import pieces
from pages.prompts.separators import from_typed

FIGURES = ("Tokens", "Context", "Room for the answer", "Shots that fit")
SENT_AS = (("the model's way", "by model"), ("plain text", "plain"), ("chat", "chat"))
INPUTS = 10
SAMPLES = {
    "summarise": "summary",
    "classify": "sentiment",
    "translate": "translation",
    "answer": "qa",
    "dialogue": "reply",
    "other": "story",
}
SENTENCE = "The soup was cold, but the waiter was kind."
Update = Any


@dataclass
class Sight:
    """The preview's components; `watched` and `counted` are what drawing and counting read."""

    inputs: list[Any]
    watched: list[Any]
    outputs: list[Any]
    counted: list[Any]
    figures: list[Any]
    source: gr.Dropdown
    kept: prompting.KeptRows


def build(lab: LabContext, parts: Sequence[Any]) -> Sight:
    section("Preview")
    with gr.Group():
        with gr.Row():
            source = gr.Dropdown([], label="Rows of", interactive=True, scale=3, elem_id="prompts-source")
            place = gr.Number(1, label="Row", precision=0, minimum=1, scale=1, min_width=80, elem_id="prompts-row")
        typed = gr.Textbox(
            label="Row typed by hand",
            info="One line a slot, 'slot: text'; further lines go on with it.",
            lines=3,
            visible=False,
            interactive=True,
            elem_id="prompts-typed",
        )
        with gr.Row():
            ways = [(SELECTORS.get(name).title, name) for name in SELECTORS]
            selector = gr.Dropdown(
                ways, value="random", label="Shots chosen", interactive=True, scale=2, elem_id="prompts-selector"
            )
            k = gr.Number(2, label="Shots", precision=0, minimum=0, min_width=70, elem_id="prompts-k")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=70, elem_id="prompts-seed")
        fixed = gr.Textbox(
            label="Rows fixed by hand",
            info="Row numbers with commas between them, in the order they are shown.",
            visible=False,
            interactive=True,
            elem_id="prompts-fixed",
        )
        with gr.Row():
            model = gr.Dropdown([], label="Model", interactive=True, scale=2, elem_id="prompts-model")
            rendering = gr.Dropdown(
                list(SENT_AS),
                value="by model",
                label="Sent as",
                interactive=True,
                scale=2,
                min_width=140,
                elem_id="prompts-rendering",
            )
            free = gr.Number(
                64, label="Answer tokens", precision=0, minimum=1, scale=1, min_width=90, elem_id="prompts-free"
            )
    figures = stat_row(FIGURES, "Size of the filled prompt", elem_id="prompts-figures")
    filled = pieces.filled_prompt("prompts-filled")
    slots = drawn(
        "",
        html_template='{{#if value}}<p class="panel-note" role="status">{{value}}</p>{{/if}}',
        elem_classes=["plain"],
        js_on_load=None,
        elem_id="prompts-slots",
    )
    inputs = [source, place, typed, selector, k, seed, fixed, model, rendering, free]
    kept = prompting.KeptRows(lab)
    sight = Sight(inputs, [*parts, *inputs], [filled, slots], [*parts, *inputs], [figures, filled], source, kept)
    for one in sight.watched:
        event = one.input if one in inputs and one is not typed else one.change
        event(guarded(draw, lab, kept), sight.watched, sight.outputs, trigger_mode="always_last", **PRIVATE).then(
            guarded(count, lab, kept), sight.counted, sight.figures, trigger_mode="always_last", **PRIVATE
        )
    source.change(guarded(typing, lab), [source, typed, *parts], typed, queue=False, **PRIVATE)
    selector.change(by_hand, selector, fixed, queue=False, **PRIVATE)
    return sight


def beginning(lab: LabContext, name: str, kept: list[Any] | None, dataset: str = "") -> list[Update]:
    """The inputs as the draft left them, or as suits the template called `name`; rows of `dataset` if there is one."""
    offered = prompting.sources(lab)
    values = kept[-INPUTS:] if kept else [None, 1, "", "random", 2, 0, "", None, "by model", 64]
    known = [value for _, value in offered]
    newest = next((one for one in known if dataset and one.partition("@")[0] == dataset), None)
    source = next((one for one in (dataset, newest, values[0]) if one and one in known), None) or _sample(lab, name)
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    model = values[7] if values[7] in names else names[0] if names else None
    return [
        gr.update(choices=offered, value=source),
        values[1],
        gr.update(value=values[2], visible=source == prompting.TYPED),
        *values[3:6],
        gr.update(value=values[6], visible=values[3] == "fixed"),
        gr.update(choices=names, value=model),
        *values[8:],
    ]


def suited(lab: LabContext, view: templates.TemplateView, source: str | None) -> Update:
    """The sample of the template's task in place of another sample; whatever the user brought stays."""
    if source and not source.startswith(prompting.SAMPLE):
        return gr.skip()
    return _sample(lab, view.template)


def draw(lab: LabContext, kept: prompting.KeptRows, *values: Any) -> tuple[dict[str, Any], str]:
    """The filled prompt, or in one sentence why there is none."""
    try:
        template, made = preview_of(lab, kept, *values)
    except LabError as problem:
        return pieces.problem_value(str(problem)), ""
    return pieces.filled_value(made.filled), _slots(template, made)


def count(lab: LabContext, kept: prompting.KeptRows, *values: Any) -> tuple[list[list[str]], Update]:
    """Tokens, context and the shots that fit; those that do not are struck out."""
    nothing = dict.fromkeys(FIGURES, NOTHING)
    *_, model, rendering, free = values
    try:
        _, made = preview_of(lab, kept, *values)
        if not model:
            return stat_values(nothing), gr.skip()
        free = int(free or 1)
        fitted = prompting.measured(lab, made, model, free, rendering)
        context = models.show(lab, model).card.context
    except LabError as problem:
        return stat_values(nothing), pieces.problem_value(str(problem))
    figures = {
        "Tokens": NOTHING if fitted.tokens is None else f"{fitted.tokens:,}",
        "Context": NOTHING if context is None else f"{context:,}",
        "Room for the answer": f"{free:,}",
        "Shots that fit": f"{fitted.k} of {fitted.wanted}",
    }
    return stat_values(figures), pieces.filled_value(made.filled, fitted.k, _note(lab, fitted, model, free))


def typing(lab: LabContext, source: str | None, typed: str, *parts: str) -> Update:
    """The box for a typed row, with a line for every slot where it is empty."""
    if source != prompting.TYPED:
        return gr.update(visible=False)
    if not (typed or "").strip():
        try:
            typed = "\n".join(f"{slot}: {SENTENCE}" for slot in _template(*parts).slots)
        except LabError:
            typed = ""
    return gr.update(visible=True, value=typed)


def by_hand(selector: str) -> Update:
    return gr.update(visible=selector == "fixed")


def preview_of(lab: LabContext, kept: prompting.KeptRows, *values: Any) -> tuple[Template, prompting.Preview]:
    """The template and its preview that the inputs describe; raises LabError in one sentence."""
    system, instruction, shot, separator, source, place, typed, selector, k, seed, fixed, model, rendering, _ = values
    template = _template(system, instruction, shot, separator)
    if not source:
        raise LabError("No rows are chosen; choose a dataset or a sample.")
    rows = kept.of(source, prompting.typed_row(typed or "", template.slots))
    chat = bool(model) and prompting.mode_of(models.show(lab, model).card, rendering) == "chat"
    shots = ShotSettings(
        selector, int(k or 0), int(seed or 0), prompting.keys_of(fixed or "") if selector == "fixed" else ()
    )
    wanted = ShotSettings() if source == prompting.TYPED else shots
    return template, prompting.preview(template, rows, max(1, int(place or 1)) - 1, chat=chat, shots=wanted)


def _template(system: str, instruction: str, shot: str, separator: str) -> Template:
    return Template(system or "", instruction or "", shot or "", from_typed(separator or ""))


def _sample(lab: LabContext, name: str) -> str:
    try:
        task = templates.show(lab, name).task if name else "other"
    except LabError:
        task = "other"
    return f"{prompting.SAMPLE}{SAMPLES.get(task, 'story')}"


def _slots(template: Template, made: prompting.Preview) -> str:
    binding = prompting.binding_of(template, made.rows)
    filled = [f"{slot} from {' and '.join(binding.columns.get(slot, (slot,)))}" for slot in template.slots]
    words = f"Slots: {', '.join(filled) or 'none'}."
    where = f" Row {made.example.key + 1} of {made.rows.name}, part {made.rows.split} ({made.rows.count:,} rows)."
    shown = ", ".join(str(shot.key + 1) for shot in made.shown)
    return words + ("" if made.rows.name == prompting.TYPED else where) + (f" Shots: rows {shown}." if shown else "")


def _note(lab: LabContext, fitted: Fitted, model: str, free: int) -> str:
    room = prompting.room_of(models.show(lab, model).card, free)
    if room is None or fitted.tokens is None:
        return ""
    if fitted.tokens > room:
        return f"The prompt has {fitted.tokens:,} tokens, but {model} has room for {room:,} beside the completion."
    if fitted.k < fitted.wanted:
        return (
            f"{fitted.k} of {fitted.wanted} shots fit into the {room:,} tokens beside the completion; "
            "the others are left out."
        )
    return ""
