"""How fast the selected model is here by dtype, measured on demand, and the dtype that it is loaded in."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.models import Card
from genai_lab.models.speed import Speed, measurable
from genai_lab.services import models as service
from pages.components import catalogue as pieces
from pages.components.forms import Form
from pages.components.settings_inputs import Updates, Values
from pages.components.stats import NOTHING, size_text

NAMES = ["speeds", "dtype", "measure"]
AUTO = "auto"
MEASURE, AGAIN = "Measure speed", "Measure again"
REASONS = {
    "set for the lab": "set by GENAI_LAB_DTYPE",
    "chosen": "chosen for this model",
    "measured": "the fastest measured here",
    "default": "not measured yet",
}
CHANGES = {"int8": ", changes texts a little", "int4": ", changes texts"}


def build(form: Form) -> None:
    form.add(speeds=pieces.speed_table("models-speeds"))
    with gr.Row(elem_classes=["bottom-row"]):
        form.add(
            dtype=gr.Dropdown(
                [AUTO], value=AUTO, label="Loaded in", min_width=200, visible=False, elem_id="models-dtype",
                info="auto: the float dtype that is fastest here",
            ),
            measure=gr.Button(MEASURE, visible=False, scale=0, min_width=150, elem_id="models-measure"),
        )  # fmt: skip


def state(lab: LabContext, view: service.ModelView | None) -> Updates:
    """Figures, choice and button for the selected model."""
    ready = view is not None and view.status in ("ready", "loaded")
    if view is None or not ready or view.dtype_reason is None or view.card.is_adapter:
        gguf = view is not None and ready and view.card.engine != "torch"
        button = gr.update(visible=gguf, value=AGAIN if view and view.speeds else MEASURE)
        return {"speeds": _table(view), "dtype": gr.update(visible=False), "measure": button}
    choices = [(AUTO, AUTO), *((_choice(view, dtype), dtype) for dtype in service.dtypes(lab))]
    return {
        "speeds": _table(view),
        "dtype": gr.update(visible=measurable(view.card), choices=choices, value=view.dtype_choice or AUTO),
        "measure": gr.update(visible=True, value=AGAIN if view.speeds else MEASURE, interactive=True),
    }


def dtype_text(view: service.ModelView) -> str:
    """The dtype on file, what it is loaded in and on, and why."""
    card = view.card
    if view.dtype_reason is None or card.loaded_dtype is None:
        return short_dtype(card)
    reason = REASONS[view.dtype_reason]
    return f"{card.dtype or NOTHING} on file; loaded in {card.loaded_dtype} on {card.device}, {reason}"


def short_dtype(card: Card) -> str:
    """The dtype on file, and the one that it is loaded in where that is another."""
    if not card.dtype or card.loaded_dtype in (None, card.dtype):
        return card.dtype or NOTHING
    return f"{card.dtype} on file, {card.loaded_dtype} loaded"


def choose(lab: LabContext, values: Values) -> None:
    """Stores the dtype that was chosen, if there is anything to choose."""
    service.choose_dtype(lab, values["model"], values["dtype"])


def measure(lab: LabContext, values: Values) -> Iterator[Updates]:
    """The button says what is being measured; figures come when all is done."""
    yield {"measure": gr.update(value="Measuring…", interactive=False)}
    for text in service.measure_watched(lab, values["model"]):
        yield {"measure": gr.update(value=f"Measuring {text}…", interactive=False)}


def _choice(view: service.ModelView, dtype: str) -> str:
    speed = next((speed for speed in view.speeds if speed.dtype == dtype), None)
    figures = f": {_rate(speed.written)} tokens/s" if speed is not None else ""
    return f"{dtype}{figures}{CHANGES.get(dtype, '')}"


def _table(view: service.ModelView | None) -> dict[str, Any]:
    if view is None:
        return {"rows": []}
    card = view.card
    return {"name": card.name, "rows": [_row(speed, card) for speed in view.speeds]}


def _row(speed: Speed, card: Card) -> dict[str, Any]:
    return {
        "dtype": speed.dtype,
        "device": speed.device,
        "read": _rate(speed.read),
        "written": _rate(speed.written),
        "memory": size_text(speed.memory_bytes),
        "taken": (speed.dtype, speed.device) == (card.loaded_dtype, card.device),
    }


def _rate(tokens: float) -> str:
    return f"{tokens:,.0f}" if tokens >= 20 else f"{tokens:.1f}"
