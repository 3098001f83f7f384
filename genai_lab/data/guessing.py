"""Which column plays which role, guessed from names and contents."""

from collections.abc import Mapping, Sequence
from typing import Any

from genai_lab.data import ROLES
from genai_lab.data.aliases import ALIASES, role_of
from genai_lab.errors import LabError

Roles = dict[str, tuple[str, ...]]
WORDS: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversation", "conversations"),
    "system": ("system", "system_prompt"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "label": ("label", "labels", "class", "category", "sentiment", "intent", "toxic"),
    "reference": (
        "reference", "references", "summary", "summaries", "highlights", "target", "answer", "response", "output",
        "completion", "translation", "fr", "de",
    ),
    "input": (
        "input", "prompt", "text", "dialogue", "document", "article", "question", "source", "instruction", "review",
        "sentence", "passage", "context", "content", "en", "query",
    ),
}  # fmt: skip
TWO_PARTS = (("instruction", "input"), ("instruction", "context"), ("question", "context"))


def guess(columns: Sequence[str], rows: Sequence[Mapping[str, Any]] = ()) -> Roles:
    """The best guess by names, and by the first rows where names do not tell.

    One column for each role; several references where their names differ by a number only.
    """
    low = {name.lower().strip(): name for name in columns}
    roles: Roles = _asked_in_two(low)
    for role, role_names in WORDS.items():
        accepted = tuple(dict.fromkeys((*role_names, *ALIASES.get(role, ()))))
        if role in roles:
            continue
        fitting = [low[word] for word in accepted if word in low and not _mostly_empty(low[word], rows)]
        if role == "reference":
            fitting += [name for name in columns if name not in fitting and _stem(name) in accepted]
            fitting = fitting if len({_stem(name) for name in fitting}) == 1 else fitting[:1]
        elif fitting:
            fitting = fitting[:1]
        if fitting:
            roles[role] = tuple(fitting)
    unused = [name for name in columns if name not in {name for names in roles.values() for name in names}]
    if "label" not in roles and "reference" not in roles and "chosen" not in roles:
        label = next((name for name in unused if _like_labels(name, rows)), None)
        if label:
            roles["label"] = (label,)
            unused.remove(label)
    if "input" not in roles and "messages" not in roles and unused:
        roles["input"] = (max(unused, key=lambda name: _length(name, rows)),)
    return roles


def _asked_in_two(low: Mapping[str, str]) -> Roles:
    """Input and context where two columns ask together; the second may be empty in many rows."""
    for first, second in TWO_PARTS:
        if first in low and second in low:
            return {"input": (low[first],), "context": (low[second],)}
    return {}


def _stem(name: str) -> str:
    return name.lower().strip().rstrip("0123456789_")


def _mostly_empty(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    return bool(rows) and sum(row.get(name) in (None, "", []) for row in rows) * 2 > len(rows)


def _length(name: str, rows: Sequence[Mapping[str, Any]]) -> float:
    return sum(len(str(row.get(name) or "")) for row in rows)


def _like_labels(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Few short values that come again and again."""
    values = [row.get(name) for row in rows]
    if len(values) < 20 or any(isinstance(value, list | dict | float) for value in values):
        return False
    different = {str(value) for value in values}
    return 2 <= len(different) <= len(values) // 5 and max(map(len, different)) <= 40


def check_roles(roles: Mapping[str, Sequence[str]], columns: Sequence[str]) -> Roles:
    """The roles as given; raises LabError for an unknown role or column, or two columns where one is wanted."""
    result: Roles = {}
    columns_by_role: dict[str, list[str]] = {}
    for named, names in roles.items():
        columns_by_role.setdefault(role_of(named), []).extend(names)
    for role, names in columns_by_role.items():
        if role not in ROLES:
            raise LabError(f"There is no role {role[:100]!r}. Known: {', '.join(map(_with_aliases, ROLES))}.")
        for name in names:
            if name not in columns:
                raise LabError(f"There is no column {name!r} for {role}. Known: {', '.join(columns)}.")
        if len(names) > 1 and role not in ("reference", "metadata"):
            raise LabError(f"The role {role} takes one column, but {len(names)} are given: {', '.join(names)}.")
        if names:
            result[role] = tuple(dict.fromkeys(names))
    return result


def _with_aliases(role: str) -> str:
    return f"{role} (or {', '.join(ALIASES[role])})" if role in ALIASES else role
