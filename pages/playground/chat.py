"""Chat: the turns so far, a message for the system, and the ways to go back a turn or begin anew.

A turn is a Run like any other: its prompt holds all messages, so that its link brings the whole conversation back. What
the token map shows is the newest answer (`last`, of `run`); it joins the messages when the next one is sent.
"""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import generation, models
from pages.components.head import PLAIN, drawn
from pages.playground.streaming import blank, shown_run

TALK = """
{{#if value.messages.length}}<ol class="talk" aria-label="Conversation so far">{{#each value.messages}}
<li data-role="{{this.role}}"><b>{{this.role}}</b><p>{{this.content}}</p></li>{{/each}}</ol>{{/if}}
"""
# In chat the message leaves its box as it is sent; what failed before it became a turn comes back.
SEND = "(mode, prompt) => [mode === 'chat' ? '' : prompt, prompt]"
RETURN = "(prompt, sent) => prompt || sent"
Message = dict[str, str]
Update = Any


def nothing() -> dict[str, Any]:
    return {"messages": [], "last": "", "run": None}


def talk_view(elem_id: str) -> gr.HTML:
    """The turns before the newest answer."""
    return drawn(nothing(), html_template=TALK, js_on_load=None, elem_classes=PLAIN, elem_id=elem_id)


def system_box(elem_id: str, **more: Any) -> gr.Textbox:
    return gr.Textbox(
        label="System",
        info="Said to the model before the conversation; may stay empty.",
        lines=2,
        max_lines=6,
        elem_id=elem_id,
        **more,
    )


class Chat:
    """The components: `column` holds what only chat needs beside the settings, `talk` the turns, then its buttons."""

    def __init__(self) -> None:
        with gr.Column(visible=False) as self.column:
            self.system = system_box("pg-system")

    def build_turns(self) -> None:
        with gr.Column(visible=False) as self.turns:
            self.talk = talk_view("pg-talk")

    def build_buttons(self) -> None:
        self.back = gr.Button("Take back", scale=0, min_width=90, visible=False, elem_id="pg-back")
        self.anew = gr.Button("New chat", scale=0, min_width=90, visible=False, elem_id="pg-anew")
        self.undo = gr.Button("Undo new chat", scale=0, min_width=110, visible=False, elem_id="pg-unnew")


def prompt_of(
    lab: LabContext, model: str, mode: str | None, text: str, system: str | None, talk: dict[str, Any]
) -> Prompt:
    """The message with all before it in chat mode, else the text alone; raises LabError."""
    made = models.prompt_for(lab, model, text, mode or None)
    if made.mode != "chat":
        return made
    if not text.strip():
        raise LabError("The message is empty; type one, or press Take back to change the last one.")
    before = [{"role": "system", "content": system}] if system and system.strip() else []
    return Prompt(messages=(*before, *turns_of(talk), *made.messages), mode="chat")


def asked_again(
    lab: LabContext, model: str, mode: str | None, text: str, system: str | None, talk: dict[str, Any] | None
) -> Prompt:
    """As `prompt_of`, but with an empty box in chat it is the last message that is asked once more."""
    talk = talk or nothing()
    if mode == "chat" and not text.strip() and talk["messages"]:
        text, talk = taken_back(talk)
    return prompt_of(lab, model, mode, text, system, talk)


def switched(mode: str | None) -> list[Update]:
    """What another mode changes: system box, turns, Take back, New chat, prompt, Generate, Clear, the answer's name."""
    on = mode == "chat"
    shown = gr.update(visible=on)
    prompt = gr.update(
        label="Message" if on else "Prompt",
        placeholder="Write a message. Enter sends it, Shift+Enter begins a new line."
        if on
        else "Type a prompt, or try an example.",
        lines=2 if on else 5,
    )
    run = gr.update(value="Send" if on else "Generate")
    answer = gr.update(label="Answer" if on else "Completion")
    return [shown, shown, shown, shown, prompt, run, gr.update(visible=not on), answer]


def chosen(lab: LabContext, mode: str | None, talk: dict[str, Any]) -> list[Update]:
    """What a run shows, once the user has chosen another mode: the conversation's last answer, or nothing."""
    _, _, view = resumed(lab, "", talk) if mode == "chat" else ("", talk, None)
    return shown_run(lab, view) if view else blank()


def sent(made: Prompt, talk: dict[str, Any], run: int | None) -> dict[str, Any]:
    """The conversation while the answer streams; in other modes it stays as it is."""
    if made.mode != "chat":
        return talk
    return {"messages": [one for one in made.messages if one["role"] != "system"], "last": "", "run": run}


def settled(lab: LabContext, state: dict[str, Any], prompt: str) -> Sequence[Update]:
    """After a run: its answer is the last one; one without an answer gives its message back; (prompt, talk)."""
    if not state.get("run"):
        return gr.skip(), gr.skip()
    view = generation.run(lab, state["run"])
    if view.mode != "chat":
        return gr.skip(), gr.skip()
    _, talk = restored(lab, view, state["completion"])
    if view.completions:
        return gr.skip(), talk
    message, before = taken_back(talk)
    return prompt if (prompt or "").strip() else message, before


def restored(lab: LabContext, view: generation.RunView, completion: int = 0) -> tuple[str, dict[str, Any]]:
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


def take_back(talk: dict[str, Any]) -> Sequence[Update]:
    """The last message in the box again, and nothing of its answer."""
    return *taken_back(talk), *blank()


def begin_anew(talk: dict[str, Any]) -> Sequence[Update]:
    """An empty conversation; the one before is kept for the undo button."""
    return nothing(), *blank(), talk, gr.update(visible=True)


def resumed(
    lab: LabContext, prompt: str, talk: dict[str, Any]
) -> tuple[str, dict[str, Any], generation.RunView | None]:
    """A kept conversation as it ended, also where the page was left meanwhile; with the run of its last answer."""
    try:
        view = generation.run(lab, talk["run"]) if talk.get("run") else None
    except LabError:  # of another data home
        view = None
    now = restored(lab, view)[1] if view else nothing()
    if view is None or now["messages"] != talk["messages"]:
        return prompt, talk, None
    if not view.completions:
        message, before = taken_back(now)
        return prompt if (prompt or "").strip() else message, before, None
    return "" if prompt == now["messages"][-1]["content"] else prompt, now, view


def undone(lab: LabContext, talk: dict[str, Any]) -> list[Update]:
    """The conversation before New chat; talk, what a run shows, and the button of this no more."""
    _, now, view = resumed(lab, "", talk)
    return [now, *(shown_run(lab, view) if view else blank()), gr.update(visible=False)]


def turns_of(talk: dict[str, Any]) -> list[Message]:
    """Every message so far, the newest answer among them."""
    answer = [{"role": "assistant", "content": talk["last"]}] if talk["last"] else []
    return [*talk["messages"], *answer]
