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
    masked_names = names(systems)
    if not masked_names:
        return None
    alternatives = "|".join(re.escape(part) for part in sorted(masked_names, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)


def names(systems: Iterable[str]) -> set[str]:
    """What is looked for: names, their last parts and their first words."""
    parts: set[str] = set()
    for system in systems:
        name = system.split(",")[0].strip()
        if COLUMNS.fullmatch(name):
            continue
        last = name.rsplit("/", 1)[-1]
        parts |= {name, last, re.split(r"[\s_.:@-]+", last)[0]}
    return {part for part in parts if len(part) >= SHORTEST and part.lower() not in COMMON}


def mask_names(text: str, names: re.Pattern[str] | None) -> str | None:
    """The text with every name hidden, None where it holds none."""
    if names is None:
        return None
    hidden, count = names.subn(MASK, text)
    return hidden if count else None


class Streamed:
    """Text that arrives in pieces, its names hidden: what may still become part of a name is held back."""

    def __init__(self, systems: Iterable[str]) -> None:
        systems = list(systems)
        self._names = pattern(systems)
        self._longest = max(map(len, names(systems)), default=-1) + 1  # a name, and the character after it
        self._raw, self._from = "", 0

    def push(self, text: str) -> str:
        """What may be shown now and was not given yet."""
        self._raw += text
        return self._until(len(self._raw) - self._longest)

    def rest(self) -> str:
        return self._until(len(self._raw))

    def _until(self, end: int) -> str:
        text = ""
        for match in self._names.finditer(self._raw, self._from) if self._names else ():
            if match.start() >= end:
                break
            text += self._raw[self._from : match.start()] + MASK
            self._from = match.end()
        if self._from < end:
            text, self._from = text + self._raw[self._from : end], end
        return text
