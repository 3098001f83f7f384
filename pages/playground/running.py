"""What the buttons of the Single tab do: generate, continue, branch, stop, and the microscope of a token."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import generation, microscope
from pages.components.forms import Updates, Values
from pages.components.head import empty_state_markup
from pages.components.plots import microscope_figure
from pages.components.settings_inputs import read_settings
from pages.components.tokenmap import full_value
from pages.playground import chat
from pages.playground.streaming import blank, load_with_updates, stream_updates


def generate(lab: LabContext, values: Values) -> Iterator[Updates]:
    """Streams an answer; in chat the message stands in the conversation from the beginning."""
    model, conversation = values["model"], values["conversation"] or chat.empty_conversation()
    sampling = read_settings(Sampling, values)
    if not model:
        raise LabError("No model is chosen; add one on the Models page.")
    prompt = chat.prompt_of(lab, model, values["mode"], values["prompt"], values["system"], conversation)
    pending = chat.pending(prompt, conversation, None)
    try:
        for updates in load_with_updates(lab, model):
            yield {**updates, "conversation": pending}
        live = generation.start(lab, model, prompt, sampling)
    except LabError:
        yield {**blank(), "conversation": conversation}
        raise
    pending = chat.pending(prompt, conversation, live.run_id)
    for updates in stream_updates(lab, live):
        yield {**updates, "conversation": pending}


def continue_run(lab: LabContext, values: Values) -> Iterator[Updates]:
    """Goes on from the end of the completion on the page, with the same settings."""
    state = values["state"]
    view = _completed_run(lab, state)
    ids = [token.id for token in view.completions[state["completion"]].tokens]
    yield from _from_prefix(lab, view, [*view.prompt.prefix, *ids])


def branch(lab: LabContext, values: Values, event: gr.EventData) -> Iterator[Updates]:
    """Takes an alternative token at its position and goes on from there."""
    view = _completed_run(lab, values["state"])
    before = [token.id for token in view.completions[int(event.completion)].tokens[: int(event.index)]]
    yield from _from_prefix(lab, view, [*view.prompt.prefix, *before, int(event.token)])


def _from_prefix(lab: LabContext, view: generation.RunView, ids: list[Any]) -> Iterator[Updates]:
    if any(token is None for token in ids):
        raise LabError("An endpoint cannot continue from given tokens; choose a local model.")
    prompt = replace(view.prompt, prefix=tuple(ids))
    sampling = replace(view.sampling, num_return_sequences=1, num_beams=1)
    live = generation.start(lab, view.model, prompt, sampling, parent_run_id=view.id)
    yield from stream_updates(lab, live, generation.prefix_text(lab, generation.run(lab, live.run_id)))


def replay(lab: LabContext, values: Values) -> Iterator[Updates]:
    """The same prompt, settings and seed once more, as a run of its own."""
    live = generation.replay(lab, run_of(values["state"]))
    yield from stream_updates(lab, live, generation.prefix_text(lab, generation.run(lab, live.run_id)))


def stop_run(lab: LabContext, values: Values) -> None:
    generation.cancel(lab, values["state"].get("run"))


def draw_microscope(lab: LabContext, values: Values) -> Updates:
    """The microscope's chart for the chosen token under the settings as they are now."""
    state = values["state"]
    if not state.get("run"):
        return {}
    try:
        view = microscope.microscope(
            lab, state["run"], state["completion"], state["index"], read_settings(Sampling, values)
        )
    except LabError as problem:
        return {
            "chart": gr.update(visible=False),
            "chart_note": gr.update(value=empty_state_markup("Sampler microscope", str(problem)), visible=True),
        }
    return {"chart": gr.update(value=microscope_figure(view), visible=True), "chart_note": gr.update(visible=False)}


def choose_token(values: Values, event: gr.EventData) -> Updates:
    return {"state": {**values["state"], "completion": int(event.completion), "index": int(event.index)}}


def choose_completion(lab: LabContext, values: Values) -> Updates:
    state = values["state"]
    view = _completed_run(lab, state)
    index = int(values["completion"]) - 1
    before = generation.prefix_text(lab, view)
    return {
        "tokens": full_value(view.completions[index].tokens, completion=index, before=before),
        "state": {**state, "completion": index, "index": 0},
    }


def run_of(state: dict[str, Any]) -> int:
    """The run on the page; raises LabError where there is none."""
    if not state.get("run"):
        raise LabError("Nothing has been generated yet; press Generate first.")
    return int(state["run"])


def _completed_run(lab: LabContext, state: dict[str, Any]) -> generation.RunView:
    view = generation.run(lab, run_of(state))
    if not view.completions:
        raise LabError("This run has no completion to continue; press Generate.")
    return view
