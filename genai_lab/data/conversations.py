"""Conversations and preferences, read from each of the shapes in which such data is published.

A value is a cell as its file had it, or the JSON text of one: a text, one message, a list of messages, or an object
that holds such a list. Messages are in OpenAI's form (role, content, where the content is a text, null or a list of
parts, and an assistant may call tools) or in ShareGPT's (from, value); a text may be a dialogue written out as HH has
it ("Human: ...", "Assistant: ..." with blank lines between).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "agent": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "environment": "tool",
}
CALLS = "function_call"
ROLE_KEYS, TEXT_KEYS = ("role", "from"), ("content", "value", "text")
LIST_KEYS = ("messages", "conversations", "conversation")
TEXT_PARTS = ("text", "input_text", "output_text")
THOUGHTS = ("thinking", "reasoning", "redacted_thinking")
SYSTEM_COLUMNS = ("system", "system_prompt")
HISTORY = "history"
DIALOGUE = re.compile(r"(?:^|\n\n)(Human|User|Assistant|System|Tool):(?: |(?=\n)|$)")
CUE = re.compile(r"^Assistant:", re.MULTILINE)


class Unreadable(LabError):
    """Why a value is no conversation, without the number of its row."""


@dataclass(frozen=True)
class Message:
    """One turn: `role` is system, user, assistant or tool. A call of a tool stands in `text` as words."""

    role: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """As chat templates and servers take it."""
        return {"role": self.role, "content": self.text}


Messages = tuple[Message, ...]


@dataclass(frozen=True)
class Exchange:
    """The turns before an answer of the assistant, and that answer; None where the conversation waits for one."""

    prompt: Messages
    answer: str | None


@dataclass(frozen=True)
class Preference:
    """What two completions have in common, and how each goes on; a completion may have several turns."""

    prompt: Messages
    chosen: Messages
    rejected: Messages


def read_messages(value: Any) -> Messages | None:
    """The messages that a value holds; None where it is a text (or nothing) and no conversation.

    Raises Unreadable for what is meant as messages and cannot be read, and for a list or an object of anything else.
    """
    if isinstance(value, str):
        return _of_text(value)
    if value is None or isinstance(value, bool | int | float):
        return None
    if isinstance(value, Mapping):
        inner = next((value[key] for key in LIST_KEYS if isinstance(value.get(key), list)), None)
        return read_messages(inner) if inner is not None else (_message(value, 0),)
    if not value:
        raise Unreadable("the conversation is empty")
    return tuple(_message(item, number) for number, item in enumerate(value, 1))


def read_turns(value: Any, role: str) -> Messages:
    """As `read_messages`, where a text is one message of this role, and nothing is no message."""
    messages = read_messages(value)
    if messages is not None:
        return messages
    return (Message(role, _plain(value)),) if _plain(value) else ()


def read_cell(value: Any) -> Messages | None:
    """As `read_messages`, of a cell that may hold anything: None for lists and objects that are not messages."""
    return read_messages(value) if isinstance(value, str) or _meant(value) else None


def read_exchange(messages: Sequence[Message]) -> Exchange:
    """The last answer of the assistant with the turns before it; turns behind it are left out."""
    last = next((n for n in reversed(range(len(messages))) if messages[n].role == "assistant"), None)
    if last is None:
        return Exchange(tuple(messages), None)
    return Exchange(tuple(messages[:last]), messages[last].text)


def read_exchanges(messages: Sequence[Message]) -> tuple[Exchange, ...]:
    """One exchange for every answer of the assistant, each with all turns before it."""
    return tuple(
        Exchange(tuple(messages[:index]), message.text)
        for index, message in enumerate(messages)
        if message.role == "assistant"
    )


def read_prompt(row: Mapping[str, Any], columns: Sequence[str], system: str | None = None) -> Messages:
    """The turns that the columns `asked` of a row hold, an instruction with its optional input for instance.

    A column `history` (a list of [question, answer]) comes before them, and the column `system` first of all.
    """
    parts = [read_cell(row.get(name)) for name in columns]
    texts = [_plain(row.get(name)) for name in columns]
    if any(part is not None for part in parts):
        pairs = zip(parts, texts, strict=True)
        turns = tuple(
            turn
            for part, text in pairs
            for turn in (part or ((Message("user", text),) if part is None and text else ()))
        )
    else:
        joined = "\n\n".join(filter(None, texts))
        turns = (Message("user", joined),) if joined else ()
    return with_system((*_history(row.get(HISTORY)), *turns), row.get(system) if system else None)


def with_system(messages: Messages, system: Any) -> Messages:
    """The messages behind a system message, unless they begin with one or there is none."""
    if not isinstance(system, str) or not system.strip() or (messages and messages[0].role == "system"):
        return messages
    return (Message("system", system), *messages)


def read_preference(chosen: Any, rejected: Any, prompt: Messages | None = None) -> Preference:
    """Two completions of one prompt; `prompt` is None where both begin with it.

    Of messages the prompt is all that both share; where they share none, it is the given one. Two texts share their
    beginning up to the last line that begins with `Assistant:`, or else to the last white space: no word is cut.
    """
    first, second = (_continued(side, prompt) or read_messages(side) for side in (chosen, rejected))
    if first is None and second is None and prompt is None:
        return _of_texts(_plain(chosen), _plain(rejected))
    left_side = first if first is not None else read_turns(chosen, "assistant")
    two = second if second is not None else read_turns(rejected, "assistant")
    shared = 0
    while shared < min(len(left_side), len(two)) - 1 and left_side[shared] == two[shared]:
        shared += 1
    question = left_side[:shared]
    if not shared:
        question = prompt or ()
    elif prompt and prompt[0].role == "system":
        question = with_system(question, prompt[0].text)
    return Preference(question, left_side[shared:], two[shared:])


def split_system(messages: Sequence[Message]) -> tuple[str, Messages]:
    """The text of the system message that comes first, empty where there is none, and the other messages."""
    if messages and messages[0].role == "system":
        return messages[0].text, tuple(messages[1:])
    return "", tuple(messages)


def split_question(messages: Sequence[Message]) -> tuple[Messages, str]:
    """The turns before the last question, and that question; where the user does not speak last, all is the question.

    A system message belongs to neither.
    """
    turns = split_system(messages)[1]
    if turns and turns[-1].role == "user":
        return turns[:-1], turns[-1].text
    return (), write_text(turns)


def write_text(messages: Sequence[Message], *, cue: bool = False) -> str:
    """The messages for reading: one alone is its text, several are `Role: text` with blank lines between.

    A system message stands first without its role. With `cue` several turns end in "Assistant:", where a model that
    knows no chat goes on.
    """
    system = messages[0].text if len(messages) > 1 and messages[0].role == "system" else ""
    turns = messages[1:] if system else messages
    if len(turns) == 1:
        body = [turns[0].text]
    else:
        body = [f"{turn.role.capitalize()}: {turn.text}" for turn in turns] + (["Assistant:"] if cue and turns else [])
    return "\n\n".join([system, *body] if system else body)


def readable(value: Any) -> str | None:
    """A conversation as text for people, None for what is none."""
    messages = read_messages(value)
    return None if messages is None else write_text(messages)


def _of_text(text: str) -> Messages | None:
    """The messages of a text that holds them as JSON or as a dialogue written out."""
    start = text.lstrip()
    if start.startswith(("[", "{")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return read_messages(value) if _meant(value) else None
    return _dialogue(start) if start.startswith(("Human:", "User:", "System:")) else None


def _dialogue(start: str) -> Messages | None:
    """The turns of a dialogue that is written out; None where it is one turn alone."""
    marks = list(DIALOGUE.finditer(start))
    roles = [ROLES[mark[1].lower()] for mark in marks]
    if "assistant" not in roles or marks[0].start():
        return None
    ends = [*(mark.start() for mark in marks[1:]), len(start)]
    turns = [Message(role, start[mark.end() : end].strip()) for mark, role, end in zip(marks, roles, ends, strict=True)]
    return tuple(turns[:-1] if turns[-1] == Message("assistant", "") else turns)


def _continued(side: Any, prompt: Messages | None) -> Messages | None:
    """The turns of a completion that goes on behind its first answer with more of a written dialogue."""
    return _dialogue(f"Assistant: {side}") if prompt and isinstance(side, str) and "\n\nHuman:" in side else None


def _meant(value: Any) -> bool:
    """Whether what was written as JSON in a text is meant as messages; any other JSON is the text that it is."""
    if isinstance(value, Mapping):
        return _meant(next((value[key] for key in LIST_KEYS if key in value), None)) or _like_message(value)
    return isinstance(value, list) and bool(value) and any(_like_message(item) for item in value)


def _like_message(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(value.get(key), str) for key in ROLE_KEYS)


def _message(value: Any, number: int) -> Message:
    where = f"message {number}" if number else "the message"
    if not isinstance(value, Mapping):
        raise Unreadable(f"{where} is not an object with a role and a content")
    role = next((value[key] for key in ROLE_KEYS if isinstance(value.get(key), str)), None)
    if role is None:
        raise Unreadable(f"{where} has no role; it needs role and content, or from and value")
    known_role = ROLES.get(role.strip().lower())
    if known_role is None:
        raise Unreadable(f"{where} has the role {role[:40]!r}; known are system, user, assistant and tool")
    calls = _calls(value, where)
    content = next((value[key] for key in TEXT_KEYS if key in value), None)
    if content is None and not calls and not any(key in value for key in TEXT_KEYS):
        raise Unreadable(f"{where} has no content")
    if role.strip().lower() == CALLS and isinstance(content, str):
        return Message(known_role, _call(content))
    text = _content(content, where)
    return Message(known_role, "\n".join([text, *calls] if text else calls) if calls else text)


def _content(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        raise Unreadable(f"{where} has a content that is not text")
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, Mapping) else None
        if kind in THOUGHTS:
            continue
        if kind not in TEXT_PARTS or not isinstance(text, str):
            raise Unreadable(f"{where} holds a part of the type {str(kind)[:40]!r}, and only text can be read")
        texts.append(text)
    return "".join(texts)


def _calls(message: Mapping[str, Any], where: str) -> list[str]:
    """The tools that a message calls, in words."""
    calls = message.get("tool_calls") or ([message[CALLS]] if message.get(CALLS) else [])
    if not isinstance(calls, list) or not all(isinstance(call, Mapping) for call in calls):
        raise Unreadable(f"{where} has tool calls that are no list of objects")
    return [_call(call.get("function", call)) for call in calls]


def _call(call: Any) -> str:
    """`call weather(city="Paris")` of a call as object or JSON text; other text stays as it is."""
    if isinstance(call, str):
        try:
            parsed = json.loads(call)
        except (ValueError, RecursionError):
            return call
        if not isinstance(parsed, Mapping) or "name" not in parsed:
            return call
        call = parsed
    arguments = call.get("arguments", {}) if isinstance(call, Mapping) else {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            arguments = {}
    named = arguments.items() if isinstance(arguments, Mapping) else ()
    arguments_text = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in named)
    return f"call {call.get('name', 'tool') if isinstance(call, Mapping) else 'tool'}({arguments_text})"


def _history(value: Any) -> Messages:
    """The earlier turns of a row, as a list of [question, answer]."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return ()
    if not isinstance(value, list):
        return ()
    if value and _like_message(value[0]):
        return read_messages(value) or ()
    turns: list[Message] = []
    for number, turn in enumerate(value, 1):
        if not isinstance(turn, list) or len(turn) != 2 or not all(isinstance(text, str) for text in turn):
            raise Unreadable(f"turn {number} of the history is not a pair of question and answer")
        turns += [Message("user", turn[0]), Message("assistant", turn[1])]
    return tuple(turns)


def _of_texts(chosen: str, rejected: str) -> Preference:
    """Two texts that begin with the same prompt."""
    alike = next((n for n, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    shared = chosen[: min(len(chosen), len(rejected)) if alike is None else alike]
    cues = list(CUE.finditer(shared))
    end = cues[-1].end() if cues else max((gap.end() for gap in re.finditer(r"\s", shared)), default=0)
    question = shared[:end].strip()
    return Preference(
        (Message("user", question),) if question else (),
        (Message("assistant", chosen[end:].strip()),),
        (Message("assistant", rejected[end:].strip()),),
    )


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
