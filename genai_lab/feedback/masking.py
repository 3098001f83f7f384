"""Candidates that name the model which wrote them are told, and the name is hidden from annotators."""

import re
from collections.abc import Iterable

MASK = "[model]"
SHORTEST = 4
# First words of many models' names that are no model's name, and names of columns that stand for a system.
COMMON = {"model", "base", "chat", "instruct", "small", "large", "tuned", "text", "starter", "local", "tiny", "mini"}
COLUMNS = re.compile(
    r"(completion|response|candidate|answer|output|chosen|rejected|import)[\s_-]*\w{0,3}", re.IGNORECASE
)


def pattern(systems: Iterable[str]) -> re.Pattern[str] | None:
    """What finds a model's name, or its first word, in a text; None where there is none to find.

    A system's name is its model's, then settings behind a comma, which are not looked for.
    """
    parts: set[str] = set()
    for system in systems:
        whole = system.split(",")[0].strip()
        if COLUMNS.fullmatch(whole):
            continue
        last = whole.rsplit("/", 1)[-1]
        parts |= {whole, last, re.split(r"[\s_.:@-]+", last)[0]}
    kept = {part for part in parts if len(part) >= SHORTEST and part.lower() not in COMMON}
    if not kept:
        return None
    found = "|".join(re.escape(part) for part in sorted(kept, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{found})(?!\w)", re.IGNORECASE)


def masked(text: str, names: re.Pattern[str] | None) -> str | None:
    """The text with every name hidden, None where it holds none."""
    if names is None:
        return None
    hidden, count = names.subn(MASK, text)
    return hidden if count else None
