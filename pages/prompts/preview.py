"""The template filled with a real row: its shots, its tokens, and how many shots the context holds."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.prompts import PARTS, Fitted, Template
from genai_lab.prompts.few_shot import SELECTORS, ShotSettings
from genai_lab.services import models, prompting, templates
from pages.components.forms import Form, Updates, Values
from pages.components.head import escaped_html, section
from pages.components.stats import NOTHING, stat_row, stat_values
from pages.prompts import pieces
from pages.prompts.separators import from_typed

FIGURES = ("Tokens", "Context", "Room for the answer", "Shots that fit")
SENT_AS = (("the model's own format", "by model"), ("plain text", "plain"), ("chat", "chat"))
# The inputs of the preview and their values on a new page.
START: dict[str, Any] = {
    "source": None,
    "row": 1,
    "typed": "",
    "selector": "random",
    "shots": 2,
    "seed": 0,
    "fixed": "",
    "embedder": "",
    "diversity": 0.0,
    "model": None,
    "rendering": "by model",
    "answer_tokens": 64,
}
INPUTS = [*PARTS, *START]  # what the preview reads: the template and its own inputs
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


def build(lab: LabContext, form: Form, rows: prompting.KeptRows) -> None:
    """Draws and wires the preview of the template in the form."""
    section("Preview")
    with gr.Group():
        form.add(_row_inputs())
        form.add(_shot_inputs())
        form.add(_model_inputs())
    form.add(
        figures=stat_row(FIGURES, "Size of the filled prompt", elem_id="prompts-figures"),
        filled=pieces.filled_prompt("prompts-filled"),
        slots=escaped_html(
            "",
            html_template='{{#if value}}<p class="panel-note" role="status">{{value}}</p>{{/if}}',
            elem_classes=["plain"],
            js_on_load=None,
            elem_id="prompts-slots",
        ),
    )
    for name in INPUTS:
        typing = name == "typed" or name in PARTS
        draw(lab, form, rows, form[name].change if typing else form[name].input, trigger_mode="always_last")
    form.on(
        form["source"].change,
        on_source,
        inputs=["source", "typed", *PARTS],
        outputs=["typed"],
        queue=False,
    )
    form.on(
        form["selector"].change, on_selector, inputs=["selector"], outputs=["fixed", *pieces.EMBEDDING], queue=False
    )


def draw(lab: LabContext, form: Form, rows: prompting.KeptRows, event: Any, **options: Any) -> None:
    """On `event`, the filled prompt, then its tokens."""
    filled = form.on(event, fill, lab, rows, inputs=INPUTS, outputs=["filled", "slots"], **options)
    form.on(filled.then, count, lab, rows, inputs=INPUTS, outputs=["figures", "filled"], **options)


def _row_inputs() -> dict[str, Any]:
    with gr.Row():
        source = gr.Dropdown([], label="Rows of", interactive=True, scale=3, elem_id="prompts-source")
        row = gr.Number(1, label="Row", precision=0, minimum=1, scale=1, min_width=80, elem_id="prompts-row")
    typed = gr.Textbox(
        label="Typed row",
        info="One line per slot, 'slot: text'; lines without a slot continue the one above.",
        lines=3,
        visible=False,
        interactive=True,
        elem_id="prompts-typed",
    )
    return {"source": source, "row": row, "typed": typed}


def _shot_inputs() -> dict[str, Any]:
    with gr.Row():
        selectors = [(SELECTORS.get(name).title, name) for name in SELECTORS]
        selector = gr.Dropdown(
            selectors, value="random", label="Shot selection", interactive=True, scale=2, elem_id="prompts-selector"
        )
        shots = gr.Number(2, label="Shots", precision=0, minimum=0, min_width=70, elem_id="prompts-k")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=70, elem_id="prompts-seed")
    fixed = gr.Textbox(
        label="Fixed rows",
        info="Row numbers separated by commas, in the order in which they appear in the prompt.",
        visible=False,
        interactive=True,
        elem_id="prompts-fixed",
    )
    meaning = pieces.embedding_inputs("prompts")
    return {"selector": selector, "shots": shots, "seed": seed, "fixed": fixed, **meaning}


def _model_inputs() -> dict[str, Any]:
    with gr.Row():
        return {
            "model": gr.Dropdown([], label="Model", interactive=True, scale=2, elem_id="prompts-model"),
            "rendering": gr.Dropdown(
                list(SENT_AS),
                value="by model",
                label="Prompt format",
                interactive=True,
                scale=2,
                min_width=140,
                elem_id="prompts-rendering",
            ),
            "answer_tokens": gr.Number(
                64, label="Answer tokens", precision=0, minimum=1, scale=1, min_width=90, elem_id="prompts-free"
            ),
        }


def first_values(lab: LabContext, name: str, draft: Values, dataset: str = "") -> Updates:
    """The inputs as the draft left them, or as suits the template called `name`; rows of `dataset` if there is one."""
    values = {**START, **{name: draft[name] for name in START if name in draft}}
    sources = prompting.sources(lab)
    ids = [source for _, source in sources]
    newest = next((source for source in ids if dataset and source.partition("@")[0] == dataset), None)
    candidates = (source for source in (dataset, newest, values["source"]) if source and source in ids)
    source = next(candidates, None) or _sample(lab, name)
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    model = values["model"] if values["model"] in names else names[0] if names else None
    return {
        **values,
        "source": gr.update(choices=sources, value=source),
        "typed": gr.update(value=values["typed"], visible=source == prompting.TYPED),
        "fixed": gr.update(value=values["fixed"], visible=values["selector"] == "fixed"),
        **pieces.load_embedding(lab, values, [values["selector"]]),
        "model": gr.update(choices=names, value=model),
    }


def suited_sample(lab: LabContext, view: templates.TemplateView, source: str | None) -> Updates:
    """The sample of the template's task in place of another sample; a source of the user's stays."""
    if source and not source.startswith(prompting.SAMPLE):
        return {}
    return {"source": _sample(lab, view.template)}


def fill(lab: LabContext, rows: prompting.KeptRows, values: Values) -> Updates:
    """The filled prompt, or in one sentence why there is none."""
    try:
        template, preview = preview_of(lab, rows, values)
    except LabError as problem:
        return {"filled": pieces.problem_value(str(problem)), "slots": ""}
    return {"filled": pieces.filled_value(preview.filled), "slots": _slots(template, preview)}


def count(lab: LabContext, rows: prompting.KeptRows, values: Values) -> Updates:
    """Tokens, context and the shots that fit; those that do not are struck out."""
    nothing = stat_values(dict.fromkeys(FIGURES, NOTHING))
    model, room = values["model"], int(values["answer_tokens"] or 1)
    try:
        _, preview = preview_of(lab, rows, values)
        if not model:
            return {"figures": nothing}
        fitted = prompting.measure_prompts(lab, preview, model, room, values["rendering"])
        context = models.show(lab, model).card.context
    except LabError as problem:
        return {"figures": nothing, "filled": pieces.problem_value(str(problem))}
    figures = {
        "Tokens": NOTHING if fitted.tokens is None else f"{fitted.tokens:,}",
        "Context": NOTHING if context is None else f"{context:,}",
        "Room for the answer": f"{room:,}",
        "Shots that fit": f"{fitted.k} of {fitted.wanted}",
    }
    note = _note(lab, fitted, model, room)
    return {"figures": stat_values(figures), "filled": pieces.filled_value(preview.filled, fitted.k, note)}


def on_source(values: Values) -> Updates:
    """The box for a typed row, with a line for every slot where it is empty."""
    if values["source"] != prompting.TYPED:
        return {"typed": gr.update(visible=False)}
    typed = values["typed"] or ""
    if not typed.strip():
        try:
            typed = "\n".join(f"{slot}: {SENTENCE}" for slot in read_template(values).slots)
        except LabError:
            typed = ""
    return {"typed": gr.update(visible=True, value=typed)}


def on_selector(values: Values) -> Updates:
    return {"fixed": gr.update(visible=values["selector"] == "fixed"), **pieces.show_embedding([values["selector"]])}


def preview_of(lab: LabContext, rows: prompting.KeptRows, values: Values) -> tuple[Template, prompting.PromptPreview]:
    """The template and its preview that the inputs describe; raises LabError in one sentence."""
    template, source, model = read_template(values), values["source"], values["model"]
    if not source:
        raise LabError("No rows are chosen; choose a dataset or a sample.")
    loaded = rows.of(source, prompting.typed_row(values["typed"] or "", template.slots))
    chat = bool(model) and prompting.mode_of(models.show(lab, model).card, values["rendering"]) == "chat"
    shots = ShotSettings() if source == prompting.TYPED else read_shots(values)
    index = max(1, int(values["row"] or 1)) - 1
    return template, prompting.preview(template, loaded, index, chat=chat, shots=shots)


def read_shots(values: Values) -> ShotSettings:
    selector = values["selector"]
    keys = prompting.keys_of(values["fixed"] or "") if selector == "fixed" else ()
    shots, seed, diversity = int(values["shots"] or 0), int(values["seed"] or 0), float(values["diversity"] or 0)
    return ShotSettings(selector, shots, seed, keys, values["embedder"] or "", diversity)


def read_template(values: Values) -> Template:
    """The template in the editor."""
    parts = {part: values[part] or "" for part in PARTS}
    return Template(**{**parts, "separator": from_typed(parts["separator"])})


def _sample(lab: LabContext, name: str) -> str:
    try:
        task = templates.show(lab, name).task if name else "other"
    except LabError:
        task = "other"
    return f"{prompting.SAMPLE}{SAMPLES.get(task, 'story')}"


def _slots(template: Template, preview: prompting.PromptPreview) -> str:
    binding = prompting.binding_of(template, preview.rows)
    slots = [f"{slot} from {' and '.join(binding.columns.get(slot, (slot,)))}" for slot in template.slots]
    text = f"Slots: {', '.join(slots) or 'none'}."
    rows = preview.rows
    where = f" Row {preview.example.key + 1} of {rows.name}, split {rows.split} ({rows.count:,} rows)."
    shots = ", ".join(str(shot.key + 1) for shot in preview.shown)
    return text + ("" if rows.name == prompting.TYPED else where) + (f" Shots: rows {shots}." if shots else "")


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
