"""A run taken along: its link, its code, its files; and played again."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import generation, history, snippets
from pages.components.copying import copy_computed, download_computed
from pages.components.errors import PRIVATE, guarded
from pages.playground.streaming import streamed

BUTTONS = ("Copy text", "Copy link", "Python (transformers)", "Python (genai_lab)", "curl", "JSONL", "CSV")


def build(lab: LabContext, state: gr.State) -> None:
    with gr.Row(elem_classes=["actions"], elem_id="pg-share"):
        gr.Button("Replay", size="sm", scale=0, min_width=70, elem_id="pg-replay", key="pg-replay")
        made = [gr.Button(name, size="sm", scale=0, min_width=60) for name in BUTTONS]
    text, link, python, own, curl, jsonl, csv = made
    for button, name in zip(made, ("text", "link", "python", "own", "curl", "jsonl", "csv"), strict=True):
        button.elem_id = f"pg-copy-{name}"
    copy_computed(text, completion_text, [state], lab)
    copy_computed(link, run_link, [state])
    copy_computed(python, as_python, [state], lab, "transformers")
    copy_computed(own, as_python, [state], lab, "genai_lab")
    copy_computed(curl, as_curl, [state], lab)
    download_computed(jsonl, to_jsonl, [state], "generations.jsonl", lab)
    download_computed(csv, to_csv, [state], "generations.csv", lab)


def wire_replay(lab: LabContext, state: gr.State, shown: Sequence[Any], chart: gr.Plot, scope: Sequence[Any]) -> None:
    from gradio.context import Context

    from pages.playground.running import look

    blocks = Context.root_block
    assert blocks is not None
    button = next(one for one in blocks.blocks.values() if getattr(one, "elem_id", "") == "pg-replay")
    flow = {"concurrency_id": "generation", **PRIVATE}
    button.click(guarded(replay, lab), state, list(shown), **flow).then(  # type: ignore[attr-defined]
        guarded(look, lab), list(scope), chart, **PRIVATE
    )


def replay(lab: LabContext, state: dict[str, Any]) -> Iterator[Sequence[Any]]:
    """The same prompt, settings and seed once more, as a run of its own."""
    live = generation.replay(lab, _run(state))
    before = generation.prefix_text(lab, generation.run(lab, live.run_id))
    yield from streamed(lab, live, before)


def completion_text(lab: LabContext, state: dict[str, Any]) -> str:
    return generation.run(lab, _run(state)).completions[state["completion"]].text


def run_link(state: dict[str, Any], request: gr.Request) -> str:
    return f"{origin(request)}/?run={_run(state)}"


def as_python(lab: LabContext, library: str, state: dict[str, Any]) -> str:
    return snippets.as_python(lab, _run(state), library)


def as_curl(lab: LabContext, state: dict[str, Any], request: gr.Request) -> str:
    return snippets.as_curl(lab, _run(state), origin(request))


def to_jsonl(lab: LabContext, state: dict[str, Any]) -> str:
    return history.to_jsonl(lab, [_run(state)])


def to_csv(lab: LabContext, state: dict[str, Any]) -> str:
    return history.to_csv(lab, [_run(state)])


def origin(request: gr.Request) -> str:
    """The address that the browser used."""
    scheme = str(request.headers.get("origin", "")).partition("://")[0] or "http"
    return f"{scheme}://{request.headers['host']}"


def _run(state: dict[str, Any]) -> int:
    if not state.get("run"):
        raise LabError("Nothing has been generated yet; press Generate first.")
    return int(state["run"])
