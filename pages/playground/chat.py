"""Chat: the conversation so far, the system prompt, and the ways to go back a message or to begin anew.

A message is a Run like any other: its prompt holds all messages, so its link brings the whole conversation back. The
token map shows the newest answer (`last`, of `run`); it joins the messages when the next one is sent.
"""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import generation, models
from pages.components.forms import Updates, Values
from pages.components.head import PLAIN, escaped_html
from pages.playground.streaming import blank, run_updates

CONVERSATION = """
{{#if value.messages.length}}<ol class="talk" aria-label="Conversation so far">{{#each value.messages}}
<li data-role="{{this.role}}"><b>{{this.role}}</b><p>{{this.content}}</p></li>{{/each}}</ol>{{/if}}
"""
# In chat the message leaves its box as it is sent; one that could not be sent comes back.
SEND = "(mode, prompt) => [mode === 'chat' ? '' : prompt, prompt]"
RETURN = "(prompt, sent) => prompt || sent"
Message = dict[str, str]
Conversation = dict[str, Any]  # messages before the newest answer, the answer, and the run that gave it


def empty_conversation() -> Conversation:
    return {"messages": [], "last": "", "run": None}


def conversation_view(elem_id: str) -> gr.HTML:
    """The messages before the newest answer."""
    return escaped_html(
        empty_conversation(), html_template=CONVERSATION, js_on_load=None, elem_classes=PLAIN, elem_id=elem_id
    )


def system_box(elem_id: str, **options: Any) -> gr.Textbox:
    return gr.Textbox(
        label="System prompt",
        info="Instructions for the whole conversation; optional.",
        lines=2,
        max_lines=6,
        elem_id=elem_id,
        **options,
    )


def draw_settings() -> tuple[gr.Column, gr.Textbox]:
    """(the column that only chat shows, the system prompt in it)."""
    with gr.Column(visible=False) as column:
        system = system_box("pg-system")
    return column, system


def draw_messages() -> tuple[gr.Column, gr.HTML]:
    """(the column that only chat shows, the conversation in it)."""
    with gr.Column(visible=False) as column:
        conversation = conversation_view("pg-talk")
    return column, conversation


def draw_buttons() -> dict[str, gr.Button]:
    return {
        "undo_message": gr.Button("Undo message", scale=0, min_width=120, visible=False, elem_id="pg-back"),
        "new_chat": gr.Button("New chat", scale=0, min_width=90, visible=False, elem_id="pg-anew"),
        "undo_new_chat": gr.Button("Undo new chat", scale=0, min_width=110, visible=False, elem_id="pg-unnew"),
    }


def prompt_of(
    lab: LabContext, model: str, mode: str | None, text: str | None, system: str | None, conversation: Conversation
) -> Prompt:
    """The message with all before it in chat mode, else the text alone; raises LabError."""
    prompt = models.prompt_for(lab, model, text or "", mode or None)
    if prompt.mode != "chat":
        return prompt
    if not (text or "").strip():
        raise LabError("The message is empty; type one, or press Undo message to change the last one.")
    before = [{"role": "system", "content": system}] if system and system.strip() else []
    return Prompt(messages=(*before, *messages_of(conversation), *prompt.messages), mode="chat")


def question_of(lab: LabContext, values: Values) -> Prompt:
    """The prompt of the Single tab; with an empty box in chat the last message is asked again."""
    text, conversation = values["prompt"] or "", values["conversation"] or empty_conversation()
    if values["mode"] == "chat" and not text.strip() and conversation["messages"]:
        text, conversation = pop_message(conversation)
    return prompt_of(lab, values["model"], values["mode"], text, values["system"], conversation)


def on_mode_change(values: Values) -> Updates:
    """What another mode shows and hides, and how it calls the prompt, the button and the answer."""
    chat = values["mode"] == "chat"
    prompt = gr.update(
        label="Message" if chat else "Prompt",
        placeholder="Write a message. Enter sends it, Shift+Enter starts a new line."
        if chat
        else "Type a prompt, or try an example.",
        lines=2 if chat else 5,
    )
    return {
        **{name: gr.update(visible=chat) for name in ("chat_settings", "messages", "undo_message", "new_chat")},
        "prompt": prompt,
        "generate": gr.update(value="Send" if chat else "Generate"),
        "clear": gr.update(visible=not chat),
        "tokens": gr.update(label="Answer" if chat else "Completion"),
    }


def on_mode_input(lab: LabContext, values: Values) -> Updates:
    """After the user has chosen another mode: the conversation's last answer, or nothing."""
    if values["mode"] != "chat":
        return blank()
    _, _, view = resume(lab, "", values["conversation"])
    return run_updates(lab, view) if view else blank()


def pending(prompt: Prompt, conversation: Conversation, run: int | None) -> Conversation:
    """The conversation while the answer streams; in other modes it stays as it is."""
    if prompt.mode != "chat":
        return conversation
    messages = [message for message in prompt.messages if message["role"] != "system"]
    return {"messages": messages, "last": "", "run": run}


def on_run_end(lab: LabContext, values: Values) -> Updates:
    """The answer of a run becomes the last one; a run without an answer gives its message back."""
    state = values["state"]
    if not state.get("run"):
        return {}
    view = generation.run(lab, state["run"])
    if view.mode != "chat":
        return {}
    _, conversation = conversation_of(lab, view, state["completion"])
    if view.completions:
        return {"conversation": conversation}
    message, before = pop_message(conversation)
    typed = (values["prompt"] or "").strip()
    return {"conversation": before} if typed else {"conversation": before, "prompt": message}


def conversation_of(lab: LabContext, view: generation.RunView, completion: int = 0) -> tuple[str, Conversation]:
    """The system prompt and the conversation of a recorded run."""
    if view.mode != "chat":
        return "", empty_conversation()
    messages = [message for message in view.prompt.messages if message["role"] != "system"]
    last = generation.prefix_text(lab, view) + view.completions[completion].text if view.completions else ""
    return system_of(view.prompt), {"messages": messages, "last": last, "run": view.id}


def system_of(prompt: Prompt) -> str:
    return next((message["content"] for message in prompt.messages if message["role"] == "system"), "")


def pop_message(conversation: Conversation) -> tuple[str, Conversation]:
    """The last message, and the conversation before it; raises LabError where there is none."""
    messages = list(conversation["messages"])
    if not messages:
        raise LabError("There is no message to undo; type the first one.")
    return messages[-1]["content"], {"messages": messages[:-1], "last": "", "run": None}


def on_undo_message(values: Values) -> Updates:
    """The last message in the box again, and nothing of its answer."""
    message, before = pop_message(values["conversation"])
    return {"prompt": message, "conversation": before, **blank()}


def on_new_chat(values: Values) -> Updates:
    """An empty conversation; the one before it is kept for the undo button."""
    return {
        "conversation": empty_conversation(),
        "former_conversation": values["conversation"],
        "undo_new_chat": gr.update(visible=True),
        **blank(),
    }


def on_undo_new_chat(lab: LabContext, values: Values) -> Updates:
    _, conversation, view = resume(lab, "", values["former_conversation"])
    run_panels = run_updates(lab, view) if view else blank()
    return {"conversation": conversation, "undo_new_chat": gr.update(visible=False), **run_panels}


def resume(
    lab: LabContext, prompt: str, conversation: Conversation
) -> tuple[str, Conversation, generation.RunView | None]:
    """A conversation as it ended, even where the page was left meanwhile; with the run of its last answer."""
    try:
        view = generation.run(lab, conversation["run"]) if conversation.get("run") else None
    except LabError:  # of another data home
        view = None
    recorded = conversation_of(lab, view)[1] if view else empty_conversation()
    if view is None or recorded["messages"] != conversation["messages"]:
        return prompt, conversation, None
    if not view.completions:
        message, before = pop_message(recorded)
        return prompt if (prompt or "").strip() else message, before, None
    return "" if prompt == recorded["messages"][-1]["content"] else prompt, recorded, view


def messages_of(conversation: Conversation) -> list[Message]:
    """Every message so far, the newest answer among them."""
    answer = [{"role": "assistant", "content": conversation["last"]}] if conversation["last"] else []
    return [*conversation["messages"], *answer]
