"""What programs can call: generate and list_models, on the API page and through gradio_client."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.context import Context

from genai_lab.context import LabContext
from genai_lab.services import defaults, generation, models
from pages.components.errors import error_notice, event_handler


def build(lab: LabContext) -> None:
    gr.api(_public(generate, lab), api_name="generate", concurrency_id="generation")
    gr.api(_public(list_models, lab), api_name="list_models")
    _name_missing_values()


def _name_missing_values() -> None:
    """Gradio answers a call with too few values with an error without words; here it names them."""
    blocks = Context.root_block
    assert blocks is not None
    checked = blocks.validate_inputs

    def validate_inputs(block_fn: Any, inputs: list[Any]) -> None:
        if block_fn.api_visibility == "public" and len(inputs) < len(block_fn.inputs):
            names = ", ".join(list(inspect.signature(block_fn.fn).parameters)[: len(block_fn.inputs)])
            usage = f"{block_fn.api_name} takes {len(block_fn.inputs)} values ({names})"
            raise error_notice(
                f"{usage}, but data holds {len(inputs)}; send them all in this order.", "That did not work"
            )
        checked(block_fn, inputs)

    blocks.validate_inputs = validate_inputs  # type: ignore[method-assign]


def _public(fn: Callable[..., Any], lab: LabContext) -> Callable[..., Any]:
    """Gradio sends what the return annotation announces, and nothing without one."""
    endpoint = event_handler(fn, lab)
    signature = inspect.signature(endpoint).replace(return_annotation=inspect.signature(fn).return_annotation)
    endpoint.__signature__ = signature  # type: ignore[attr-defined]
    return endpoint


def generate(lab: LabContext, model: str, prompt: str, mode: str = "", settings: dict[str, Any] | None = None) -> dict:
    """Generates completions for a prompt and records them as a run.

    Args:
        model: name of a model in the catalogue, as list_models gives it.
        prompt: the prompt; in chat mode the user's message.
        mode: completion, chat or text-to-text; empty takes chat where the model has a chat template.
        settings: sampling settings by name, such as {"temperature": 0.7, "top_p": 0.9, "seed": 1}; the rest are the
            model's own (its generation_config.json), else the lab's.

    Returns:
        run (its id, for /?run=ID), seed, settings, and completions with text, finish_reason, token counts and
            notes, such as why a completion is empty.
    """
    question = models.prompt_for(lab, model, prompt, mode or None)
    sampling = defaults.sampling_for(lab, model, settings or {}, question.mode)
    view = generation.generate(lab, model, question, sampling)
    completions = [
        {
            "text": completion.text,
            "finish_reason": completion.finish_reason,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "seconds": completion.seconds,
            "seed": completion.seed,
            "notes": list(completion.notes),
        }
        for completion in view.completions
    ]
    return {
        "run": view.id,
        "model": view.model,
        "seed": view.seed,
        "settings": view.sampling.as_dict(),
        "completions": completions,
    }


def list_models(lab: LabContext) -> list:
    """Every model in the catalogue that can be used.

    Returns:
        name, family, architecture, parameters, context (tokens), modes and status of each.
    """
    rows = []
    for view in models.catalogue(lab):
        card = dataclasses.asdict(view.card)
        row = {key: card[key] for key in ("name", "family", "architecture", "parameters", "context")}
        rows.append(row | {"modes": list(view.card.modes), "status": view.status})
    return rows
