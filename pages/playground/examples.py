"""The example chips above the prompt: those of the starter models, and messages that suit any model in chat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.models import Mode
from genai_lab.services import models
from genai_lab.starter.examples import examples
from pages.components.settings_form import show_settings
from pages.playground import chat
from pages.playground.settings import NAMES, modes_of

STARTERS = ("starter-causal", "starter-seq2seq")
Update = Any


@dataclass(frozen=True)
class Message:
    """A message for whatever model is chosen, in chat; its settings stay."""

    title: str
    prompt: str
    mode: Mode = "chat"


MESSAGES = (
    Message("Explain a word", "Explain in two sentences what a language model is, so that a child understands it."),
    Message("Rewrite politely", "Rewrite this politely: Send me the report now, I have waited long enough."),
    Message("Sort a review", "Is this review positive or negative? The soup was cold, but the waiter was kind."),
    Message("Name three ideas", "Name three ideas for a rainy afternoon, each in one line."),
)


@dataclass
class Chips:
    """The buttons, in the order of `all_examples`."""

    buttons: list[gr.Button]


def all_examples() -> list[Any]:
    return [*examples(), *MESSAGES]


def build() -> Chips:
    with gr.Row(elem_classes=["chips"], elem_id="pg-examples"):
        made = [
            gr.Button(one.title, size="sm", scale=0, min_width=80, visible=not isinstance(one, Message))
            for one in all_examples()
        ]
    return Chips(made)


def suited(model: str | None, mode: str | None) -> list[Update]:
    """Which chips are seen: in chat those that are messages, for the starter models their own."""
    return [gr.update(visible=_suits(one, model, mode)) for one in all_examples()]


def _suits(one: Any, model: str | None, mode: str | None) -> bool:
    if mode != "chat":
        return not isinstance(one, Message)
    if model in STARTERS:
        return not isinstance(one, Message) and one.mode == "chat"
    return isinstance(one, Message)


def use_example(lab: LabContext, one: Any, *values: Any) -> Sequence[Update]:
    """Model, mode, prompt, system, conversation, settings and their origin; a message changes the prompt alone."""
    if isinstance(one, Message):
        return [gr.skip(), gr.skip(), one.prompt, *[gr.skip()] * (3 + len(NAMES))]
    fresh = ("", chat.nothing()) if one.mode == "chat" else (gr.skip(), gr.skip())
    settings = show_settings(Sampling.from_dict(one.settings), NAMES)
    origin = f"Settings: those of the example “{one.title}”."
    return [one.model, modes_of(lab, one.model, one.mode), one.prompt, *fresh, *settings, origin]


def named(lab: LabContext, title: str | None) -> Any:
    """The example of that title whose model is there, or None."""
    found = next((one for one in examples() if one.title == title), None)
    known = {view.card.name for view in models.catalogue(lab)}
    return found if found is not None and found.model in known else None
