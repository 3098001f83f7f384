"""Messages in a model's own chat template, rendered in the sandbox: nobody vouches for a template from elsewhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from genai_lab.errors import TemplateError
from genai_lab.prompts.sandbox import Ended, sandbox

REASONING = ("reasoning_content", "thinking", "reasoning")


class ChatTemplateError(TemplateError):
    """A chat template cannot be used; `words` say why. `unreadable` ones fail whatever the messages are, `unbounded`
    ones were stopped because they took too much time, memory or room.
    """

    def __init__(self, problem: str, *, unreadable: bool = False, unbounded: bool = False) -> None:
        super().__init__(f"The chat template {problem}.")
        self.message, self.unreadable, self.unbounded = problem, unreadable, unbounded


def render_chat(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    tokens: Mapping[str, Any] | None = None,
    *,
    add_generation_prompt: bool = True,
) -> str:
    """The text that transformers' apply_chat_template makes of the messages; raises ChatTemplateError.

    `tokens` are the tokenizer's special tokens by name (bos_token, eos_token, ...).
    """
    values = {
        **(tokens or {}),
        "messages": [_message(message) for message in messages],
        "tools": None,
        "documents": None,
        "add_generation_prompt": add_generation_prompt,
    }
    request = {"op": "chat", "template": template, "values": values, "now": datetime.now().isoformat()}
    try:
        answer = sandbox().ask(request)
    except Ended as problem:
        raise ChatTemplateError(problem.message, unbounded=True) from None
    if "problem" not in answer:
        return str(answer["text"])
    problem_text = str(answer["problem"])
    if answer.get("ended") or "writes more than" in problem_text:
        raise ChatTemplateError(problem_text.partition(";")[0], unbounded=True)
    if answer.get("part") == "syntax":
        raise ChatTemplateError(problem_text.rstrip("."), unreadable=True)
    raise ChatTemplateError(f"refuses these messages: {problem_text.rstrip('.')}")


def choose_template(templates: Any) -> str:
    """The template of a tokenizer's or its settings' `chat_template`: a text, or the default one of several by name.

    Raises ChatTemplateError where none of several is the default.
    """
    if isinstance(templates, list | tuple):
        templates = {
            entry["name"]: entry["template"] for entry in templates if isinstance(entry, dict) and "name" in entry
        }
    if isinstance(templates, Mapping):
        if "default" not in templates:
            names = ", ".join(sorted(map(str, templates))) or "none"
            raise ChatTemplateError(f"is one of several ({names}), of which none is called default", unreadable=True)
        templates = templates["default"]
    return str(templates)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null, which templates would write as None; reasoning under each of the names it is read by."""
    fields = {name: value for name, value in message.items() if value is not None}
    thought = next((fields[name] for name in REASONING if name in fields), None)
    return fields if thought is None else {"thinking": thought, **fields, "reasoning_content": thought}
