"""What the single tab's buttons do: generate, go on, branch, stop, and the microscope of a token."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import generation, microscope
from pages.components.plots import microscope_figure
from pages.components.settings_form import read_settings
from pages.components.tokenmap import full_value
from pages.playground import chat
from pages.playground.settings import NAMES
from pages.playground.streaming import blank, load_and_tell, streamed

Update = Any


def generate(
    lab: LabContext, model: str, mode: str, prompt: str, system: str, talk: dict[str, Any], *values: Any
) -> Iterator[Sequence[Update]]:
    """Streams an answer; in chat the message stands in the conversation from the beginning."""
    talk = talk or chat.nothing()
    sampling = read_settings(Sampling, NAMES, values)
    made = chat.prompt_of(lab, _needed(model), mode, prompt or "", system, talk)
    under_way = chat.sent(made, talk, None)
    try:
        for update in load_and_tell(lab, model):
            yield [*update, under_way]
        live = generation.start(lab, model, made, sampling)
    except LabError:
        yield [*blank(), talk]
        raise
    under_way = chat.sent(made, talk, live.run_id)
    for update in streamed(lab, live):
        yield [*update, under_way]


def continue_run(lab: LabContext, state: dict[str, Any]) -> Iterator[Sequence[Update]]:
    """Goes on where the shown completion ended, with the same settings."""
    view = _shown(lab, state)
    ids = [token.id for token in view.completions[state["completion"]].tokens]
    yield from _from_prefix(lab, view, [*view.prompt.prefix, *ids])


def branch(lab: LabContext, state: dict[str, Any], event: gr.EventData) -> Iterator[Sequence[Update]]:
    """Takes the alternative at its place and goes on from there."""
    view = _shown(lab, state)
    before = [token.id for token in view.completions[int(event.completion)].tokens[: int(event.index)]]
    yield from _from_prefix(lab, view, [*view.prompt.prefix, *before, int(event.token)])


def _from_prefix(lab: LabContext, view: generation.RunView, ids: list[Any]) -> Iterator[Sequence[Update]]:
    if any(token is None for token in ids):
        raise LabError("An endpoint cannot go on from given tokens; choose a local model.")
    prompt = replace(view.prompt, prefix=tuple(ids))
    sampling = replace(view.sampling, num_return_sequences=1, num_beams=1)
    live = generation.start(lab, view.model, prompt, sampling, parent_run_id=view.id)
    before = generation.prefix_text(lab, generation.run(lab, live.run_id))
    yield from streamed(lab, live, before)


def stop_run(lab: LabContext, state: dict[str, Any]) -> None:
    generation.cancel(lab, state.get("run"))


def look(lab: LabContext, state: dict[str, Any], *values: Any) -> Update:
    """The microscope's chart for the chosen token under the sliders as they stand."""
    if not state.get("run"):
        return gr.skip()
    sampling = read_settings(Sampling, NAMES, values)
    try:
        view = microscope.microscope(lab, state["run"], state["completion"], state["index"], sampling)
    except LabError as problem:
        return microscope_figure(None, str(problem))
    return microscope_figure(view)


def choose_token(state: dict[str, Any], event: gr.EventData) -> dict[str, Any]:
    return {**state, "completion": int(event.completion), "index": int(event.index)}


def choose_completion(lab: LabContext, number: str, state: dict[str, Any]) -> tuple[Update, dict[str, Any]]:
    view = _shown(lab, state)
    place = int(number) - 1
    chosen = view.completions[place]
    before = generation.prefix_text(lab, view)
    return full_value(chosen.tokens, completion=place, before=before), {**state, "completion": place, "index": 0}


def _needed(model: str | None) -> str:
    if not model:
        raise LabError("No model is chosen; add one on the Models page.")
    return model


def _shown(lab: LabContext, state: dict[str, Any]) -> generation.RunView:
    if not state.get("run"):
        raise LabError("Nothing has been generated yet; press Generate first.")
    view = generation.run(lab, state["run"])
    if not view.completions:
        raise LabError("This run has no completion to go on from; press Generate.")
    return view
