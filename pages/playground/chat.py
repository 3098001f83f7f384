"""Chat: the turns so far, a message for the system, and the ways to go back a turn or begin anew.

A turn is a Run like any other: its prompt holds all messages, so that its link brings the whole conversation back. What
the token map shows is the newest answer (`last`, of `run`); it joins the messages when the next one is sent.
"""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.models import Prompt
from genai_lab.services import generation, models
from pages.components.head import PLAIN, drawn
from pages.playground.streaming import blank, shown_run

TALK = """
{{#if value.messages.length}}<ol class="talk" aria-label="Conversation so far">{{#each value.messages}}
<li data-role="{{this.role}}"><b>{{this.role}}</b><p>{{this.content}}</p></li>{{/each}}</ol>{{/if}}
"""
Message = dict[str, str]
Update = Any


def nothing() -> dict[str, Any]:
    return {"messages": [], "last": "", "run": None}


class Chat:
    """The components; `column` holds what only chat needs beside the settings, `row` its buttons."""

    def __init__(self) -> None:
        with gr.Column(visible=False) as self.column:
            self.system = gr.Textbox(
                label="System",
                info="Said to the model before the conversation; may stay empty.",
                lines=2,
                max_lines=6,
                elem_id="pg-system",
            )

    def build_turns(self) -> None:
        self.talk = drawn(
            nothing(),
            html_template=TALK,
            js_on_load=None,
            elem_classes=PLAIN,
            elem_id="pg-talk",
        )

    def build_buttons(self) -> None:
        with gr.Row(elem_classes=["actions"], visible=False) as self.row:
            self.back = gr.Button("Take back", size="sm", scale=0, min_width=90, elem_id="pg-back")
            self.anew = gr.Button("New chat", size="sm", scale=0, min_width=90, elem_id="pg-anew")
            self.undo = gr.Button("Undo new chat", size="sm", scale=0, min_width=110, visible=False, elem_id="pg-unnew")


def prompt_of(lab: Lab, model: str, mode: str | None, text: str, system: str | None, talk: dict[str, Any]) -> Prompt:
    """The message with all before it in chat mode, else the text alone; raises LabError."""
    made = models.prompt_for(lab, model, text, mode or None)
    if made.mode != "chat":
        return made
    if not text.strip():
        raise LabError("The message is empty; type one, or press Take back to change the last one.")
    before = [{"role": "system", "content": system}] if system and system.strip() else []
    return Prompt(messages=(*before, *_all(talk), *made.messages), mode="chat")


def seen(mode: str | None) -> list[Update]:
    """What of chat is visible: its column, its buttons, its turns."""
    return [gr.update(visible=mode == "chat") for _ in range(3)]


def sent(made: Prompt, talk: dict[str, Any], run: int | None) -> dict[str, Any]:
    """The conversation while the answer streams; in other modes it stays as it is."""
    if made.mode != "chat":
        return talk
    return {"messages": [one for one in made.messages if one["role"] != "system"], "last": "", "run": run}


def settled(lab: Lab, state: dict[str, Any], prompt: str) -> Sequence[Update]:
    """After a run: its answer is the last one, and without an answer its message is taken back; (prompt, talk)."""
    if not state.get("run"):
        return gr.skip(), gr.skip()
    view = generation.run(lab, state["run"])
    if view.mode != "chat":
        return gr.skip(), gr.skip()
    _, talk = restored(lab, view, state["completion"])
    if not view.completions:
        return gr.skip(), taken_back(talk)[1]
    return "" if prompt == view.prompt.messages[-1]["content"] else gr.skip(), talk


def restored(lab: Lab, view: generation.RunView, completion: int = 0) -> tuple[str, dict[str, Any]]:
    """The message for the system and the conversation of a recorded run."""
    if view.mode != "chat":
        return "", nothing()
    system = next((one["content"] for one in view.prompt.messages if one["role"] == "system"), "")
    messages = [one for one in view.prompt.messages if one["role"] != "system"]
    last = generation.prefix_text(lab, view) + view.completions[completion].text if view.completions else ""
    return system, {"messages": messages, "last": last, "run": view.id}


def taken_back(talk: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The last message back in the prompt, and the conversation before it; raises LabError where there is none."""
    messages = list(talk["messages"])
    if not messages:
        raise LabError("There is no message to take back; type the first one.")
    return messages[-1]["content"], {"messages": messages[:-1], "last": "", "run": None}


def resumed(lab: Lab, prompt: str, talk: dict[str, Any]) -> tuple[str, dict[str, Any], generation.RunView | None]:
    """A kept conversation as it ended, also where the page was left meanwhile; with the run of its last answer."""
    try:
        view = generation.run(lab, talk["run"]) if talk.get("run") else None
    except LabError:  # of another data home
        view = None
    now = restored(lab, view)[1] if view else nothing()
    if view is None or now["messages"] != talk["messages"]:
        return prompt, talk, None
    if not view.completions:
        return prompt, taken_back(now)[1], None
    return "" if prompt == now["messages"][-1]["content"] else prompt, now, view


def undone(lab: Lab, talk: dict[str, Any]) -> list[Update]:
    """The conversation before New chat; talk, what a run shows, and the button of this no more."""
    _, now, view = resumed(lab, "", talk)
    return [now, *(shown_run(lab, view) if view else blank()), gr.update(visible=False)]


def _all(talk: dict[str, Any]) -> list[Message]:
    answer = [{"role": "assistant", "content": talk["last"]}] if talk["last"] else []
    return [*talk["messages"], *answer]
