"""A preference as prompt, chosen and rejected text, from each of the shapes in which such data is published.

The prompt stands in a column of its own, or both completions begin with it; each is a text, or one or more messages as
JSON, in OpenAI's form (role, content) or ShareGPT's (from, value).
"""

import json
import re
from typing import Any

TURN = re.compile(r"^Assistant:", re.MULTILINE)
NAMES = {"human": "user", "gpt": "assistant"}
Messages = list[dict[str, str]]


def sides(chosen: str, rejected: str, prompt: str | None = None) -> tuple[str, str, str]:
    """(prompt, chosen, rejected) as texts; `prompt` is None where both sides begin with it.

    The prompt that both share ends after the last line that begins with `Assistant:`, as in dialogues that are written
    out, and otherwise at the last white space, so that no word is cut. Of messages it is all that both share; one
    message is its content, several are `Role: content` with blank lines between.
    """
    first, second = messages(chosen), messages(rejected)
    if first is not None and second is not None:
        return _conversation(first, second, prompt)
    asked = _text(prompt) if prompt is not None else None
    if asked is not None:
        return asked, _text(chosen), _text(rejected)
    alike = next((n for n, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    shared = chosen[: min(len(chosen), len(rejected)) if alike is None else alike]
    turns = list(TURN.finditer(shared))
    end = turns[-1].end() if turns else max((found.end() for found in re.finditer(r"\s", shared)), default=0)
    return shared[:end].strip(), chosen[end:].strip(), rejected[end:].strip()


def messages(cell: str) -> Messages | None:
    """The messages that the cell holds as JSON, {role, content} each; None where it is a text."""
    if not cell.lstrip().startswith(("[", "{")):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    made = [_message(one) for one in (found if isinstance(found, list) else [found])]
    whole = [one for one in made if one is not None]
    return whole if whole and len(whole) == len(made) else None


def _message(one: Any) -> dict[str, str] | None:
    for role, content in (("role", "content"), ("from", "value")):
        if isinstance(one, dict) and isinstance(one.get(role), str) and isinstance(one.get(content), str):
            return {"role": NAMES.get(one[role], one[role]), "content": one[content]}
    return None


def _conversation(first: Messages, second: Messages, prompt: str | None) -> tuple[str, str, str]:
    shared = 0
    while shared < min(len(first), len(second)) - 1 and first[shared] == second[shared]:
        shared += 1
    asked = _written(first[:shared]) if shared or prompt is None else _text(prompt)
    return asked, _written(first[shared:]), _written(second[shared:])


def _text(cell: str) -> str:
    found = messages(cell)
    return cell if found is None else _written(found)


def _written(some: Messages) -> str:
    if len(some) == 1:
        return some[0]["content"]
    return "\n\n".join(f"{one['role'].capitalize()}: {one['content']}" for one in some)
