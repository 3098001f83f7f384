"""The names of a table's columns: each there, each once, none of them the lab's own."""

import itertools
from collections.abc import Sequence

from genai_lab.data import SPLIT
from genai_lab.errors import LabError

MOST_COLUMNS = 1_000
OLD_SPLIT = "exported_split"


def with_names(names: Sequence[str]) -> list[str]:
    """The header, where an unnamed column, such as the index that pandas and R write, is named by its place."""
    if not any(name.strip() for name in names):
        return []
    return [name if name.strip() else _free(f"column {number}", names) for number, name in enumerate(names, 1)]


def _free(name: str, names: Sequence[str]) -> str:
    return next(
        candidate
        for candidate in itertools.chain([name], (f"{name} ({n})" for n in itertools.count(2)))
        if candidate not in names
    )


def checked_names(names: Sequence[str] | None) -> list[str]:
    """The names of the columns, of which each must have its own; raises LabError."""
    if not names or not any(names):
        raise LabError("The file is empty or has no header; its first line must name the columns.")
    if len(names) > MOST_COLUMNS:
        raise LabError(f"The table has {len(names):,} columns, and at most {MOST_COLUMNS:,} can be used.")
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise LabError(f"Column {number} has no name in the header; give it one.")
        if len(name) > 200:
            raise LabError(f"The name of column {number} has {len(name):,} characters; the header may be missing.")
    checked = [OLD_SPLIT if name == SPLIT else name for name in names]
    twice = sorted(name for name in set(checked) if checked.count(name) > 1)
    if twice:
        raise LabError(f"The column {twice[0]!r} occurs more than once in the header; rename one of them.")
    return checked
