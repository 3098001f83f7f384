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
from pages.components.forms import Form, Updates, Values
from pages.components.settings_inputs import write_settings
from pages.playground import chat
from pages.playground.settings import modes_of

STARTERS = ("starter-causal", "starter-seq2seq")


@dataclass(frozen=True)
class ExampleMessage:
    """A message for whatever model is chosen, in chat; its settings stay."""

    title: str
    prompt: str
    mode: Mode = "chat"


MESSAGES = (
    ExampleMessage(
        "Explain a word", "Explain in two sentences what a language model is, so that a child understands it."
    ),
    ExampleMessage("Rewrite politely", "Rewrite this politely: Send me the report now, I have waited long enough."),
    ExampleMessage("Sort a review", "Is this review positive or negative? The soup was cold, but the waiter was kind."),
    ExampleMessage("Name three ideas", "Name three ideas for a rainy afternoon, each in one line."),
)


def all_examples() -> dict[str, Any]:
    """Every example by title."""
    chips: list[Any] = [*examples(), *MESSAGES]
    return {example.title: example for example in chips}


def draw() -> dict[str, gr.Button]:
    """A button for each example, by its title."""
    with gr.Row(elem_classes=["chips"], elem_id="pg-examples"):
        return {
            title: gr.Button(title, size="sm", scale=0, min_width=80, visible=not isinstance(example, ExampleMessage))
            for title, example in all_examples().items()
        }


def wire(lab: LabContext, page: Form, chips: dict[str, gr.Button], outputs: Sequence[str]) -> list[Any]:
    """Shows the chips that suit model and mode, and fills the page on a click; returns what each click starts."""
    row = Form(**chips)
    row.include(page, ["model", "mode"])
    # The mode may be one of the previous model, which Gradio's own check would refuse.
    for name in ("model", "mode"):
        row.on(
            page[name].change, on_model_or_mode, inputs=["model", "mode"], outputs=list(chips), queue=False,
            preprocess=False,
        )  # fmt: skip
    return [
        page.fill(chip.click, use_example, lab, all_examples()[title], outputs=outputs) for title, chip in chips.items()
    ]


def on_model_or_mode(values: Values) -> Updates:
    """Which chips are seen: in chat those that are messages, for the starter models their own."""
    return {
        title: gr.update(visible=_suits(example, values["model"], values["mode"]))
        for title, example in all_examples().items()
    }


def _suits(example: Any, model: str | None, mode: str | None) -> bool:
    if mode != "chat":
        return not isinstance(example, ExampleMessage)
    if model in STARTERS:
        return not isinstance(example, ExampleMessage) and example.mode == "chat"
    return isinstance(example, ExampleMessage)


def use_example(lab: LabContext, example: Any) -> Updates:
    """Model, mode, prompt, system prompt, conversation and settings; a message changes the prompt alone."""
    if isinstance(example, ExampleMessage):
        return {"prompt": example.prompt}
    fresh = {"system": "", "conversation": chat.empty_conversation()} if example.mode == "chat" else {}
    return {
        "model": example.model,
        "mode": modes_of(lab, example.model, example.mode),
        "prompt": example.prompt,
        **fresh,
        **write_settings(Sampling.from_dict(example.settings)),
        "origin": f"Settings: those of the example “{example.title}”.",
    }


def example_called(lab: LabContext, title: str | None) -> Any:
    """The example of that title whose model is there, or None."""
    example = next((example for example in examples() if example.title == title), None)
    names = {view.card.name for view in models.catalogue(lab)}
    return example if example is not None and example.model in names else None
