"""The button that makes the copy for torch of a model that another engine computes, and then leads to it."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import models as service
from pages.components.errors import notice

MAKE, SHOW = "Create torch copy", "Show torch copy"


def button() -> gr.Button:
    return gr.Button(MAKE, visible=False, scale=0, min_width=150, elem_id="models-copy")


def button_state(lab: LabContext, view: service.ModelView | None) -> Any:
    """Whether the button is there for this model, and what it does: make the copy, or show the one that is there."""
    if view is None or view.card.engine == "torch" or view.status not in ("ready", "loaded"):
        return gr.update(visible=False)
    return gr.update(visible=True, value=SHOW if service.torch_copy(lab, view.name) else MAKE)


def make_or_show(lab: LabContext, name: str) -> str:
    """The model to be selected afterwards: the copy where it is there; else it is begun, which the Jobs page shows."""
    if (copy := service.torch_copy(lab, name)) is not None:
        return copy
    started = service.convert_model(lab, name)
    notice(f"{started.name} is being created, which torch can run and train; the Jobs page shows its progress.")
    return name
