"""A model's messages as the text that it reads, and the check of its chat template when it is added."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from genai_lab.errors import ModelError
from genai_lab.models import LONGEST_PROMPT, Prompt
from genai_lab.prompts.chat import ChatTemplateError, choose_template, render_chat

FILE = "chat_template.jinja"
ADVICE = "use completion mode, or another model"


def render_messages(
    tokenizer: Any, messages: Sequence[Mapping[str, Any]], name: str, *, add_generation_prompt: bool = True
) -> str:
    """The messages in the tokenizer's chat template; raises ModelError in one sentence that names the model.

    Wherever the lab needs a chat as text it comes from here, so that no template runs in the app's own process.
    """
    templates = getattr(tokenizer, "chat_template", None)
    if not templates:
        raise ModelError(f"{name} has no chat template; use completion mode.")
    try:
        template = choose_template(templates)
        text = render_chat(
            template, messages, tokenizer.special_tokens_map, add_generation_prompt=add_generation_prompt
        )
    except ChatTemplateError as problem:
        advice = "" if problem.message.startswith("refuses") else f"; {ADVICE}"
        raise ModelError(f"The chat template of {name} {problem.message}{advice}.") from None
    check_length(text, f"The chat template of {name} makes a prompt")
    return text


class PromptRenderer:
    """Prompts as the text that a model reads. A chat is rendered to be counted, and again to be read, so the latest
    `size` of at most `longest` characters are kept.
    """

    def __init__(self, tokenizer: Any, name: str, size: int = 1024, longest: int = 20_000) -> None:
        self._tokenizer, self._name, self._longest = tokenizer, name, longest
        self._chats = lru_cache(maxsize=size)(self._render_chat)

    def render(self, prompt: Prompt) -> str:
        """The prompt itself, or its messages in the chat template; raises ModelError."""
        if prompt.mode != "chat":
            return prompt.text
        messages = list(prompt.messages) or [{"role": "user", "content": prompt.text}]
        key = json.dumps(messages, sort_keys=True)
        # A template that asks for the time says something else later.
        if len(key) > self._longest or "strftime_now" in str(self._tokenizer.chat_template):
            return self._render_chat(key)
        return self._chats(key)

    def _render_chat(self, messages: str) -> str:
        return render_messages(self._tokenizer, json.loads(messages), self._name)


def check_length(text: str, what: str = "The prompt is") -> None:
    """Refuses a text that no tokenizer should be given: what these allocate is many times as large."""
    if len(text) > LONGEST_PROMPT:
        raise ModelError(
            f"{what} of {len(text):,} characters, but at most {LONGEST_PROMPT:,} are read; shorten the prompt."
        )


def stored_template(folder: Path, tokenizer_config: Mapping[str, Any]) -> Any:
    """The folder's template, or several by name, where transformers finds them: its own file wins over the settings.

    Empty where there is none.
    """
    path = folder / FILE
    if not path.is_file():
        return tokenizer_config.get("chat_template") or ""
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(LONGEST_PROMPT)
    except OSError as problem:
        raise ModelError(f"{path} cannot be read ({problem.strerror}).") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not UTF-8 text; download or save it again.") from None


def check_template(template: Any, folder: Path) -> str | None:
    """Why the folder's chat template cannot be read, None where it can; raises ModelError for one without bounds.

    One that refuses a single greeting is fine: it may want a system message or other roles.
    """
    try:
        render_chat(choose_template(template), [{"role": "user", "content": "Hello"}])
    except ChatTemplateError as problem:
        if problem.unbounded:
            raise ModelError(
                f"The chat template of {folder} {problem.message} for a message of one word; repair it, or remove it "
                "to use the model in completion mode."
            ) from None
        return problem.message if problem.unreadable else None
    return None
