"""A run taken along: its link, its code, its files."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import generation, history, snippets
from pages.components.copying import copy_computed, download_computed
from pages.playground.running import run_of

State = dict[str, Any]


def build(lab: LabContext, state: gr.State) -> gr.Button:
    """Draws and wires the buttons; returns Replay, which the page wires since it draws on all of it."""

    def button(title: str, name: str) -> gr.Button:
        return gr.Button(title, size="sm", scale=0, min_width=60, elem_id=f"pg-copy-{name}")

    with gr.Row(elem_classes=["actions"], elem_id="pg-share"):
        replay = gr.Button("Replay", size="sm", scale=0, min_width=70, elem_id="pg-replay")
        copy_computed(button("Copy text", "text"), completion_text, [state], lab)
        copy_computed(button("Copy link", "link"), run_link, [state])
        copy_computed(button("Python (transformers)", "python"), as_python, [state], lab, "transformers")
        copy_computed(button("Python (genai_lab)", "own"), as_python, [state], lab, "genai_lab")
        copy_computed(button("curl", "curl"), as_curl, [state], lab)
        download_computed(button("JSONL", "jsonl"), to_jsonl, [state], "generations.jsonl", lab)
        download_computed(button("CSV", "csv"), to_csv, [state], "generations.csv", lab)
    return replay


def completion_text(lab: LabContext, state: State) -> str:
    return generation.run(lab, run_of(state)).completions[state["completion"]].text


def run_link(state: State, request: gr.Request) -> str:
    return f"{origin(request)}/?run={run_of(state)}"


def as_python(lab: LabContext, library: str, state: State) -> str:
    return snippets.as_python(lab, run_of(state), library)


def as_curl(lab: LabContext, state: State, request: gr.Request) -> str:
    return snippets.as_curl(lab, run_of(state), origin(request))


def to_jsonl(lab: LabContext, state: State) -> str:
    return history.to_jsonl(lab, [run_of(state)])


def to_csv(lab: LabContext, state: State) -> str:
    return history.to_csv(lab, [run_of(state)])


def origin(request: gr.Request) -> str:
    """The address that the browser used."""
    scheme = str(request.headers.get("origin", "")).partition("://")[0] or "http"
    return f"{scheme}://{request.headers['host']}"
