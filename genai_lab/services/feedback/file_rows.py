"""One row of a file as an item of a campaign: its prompt, its candidates and their systems, votes that it brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.data.conversations import (
    SYSTEM_COLUMNS,
    read_cell,
    read_messages,
    read_preference,
    read_prompt,
    with_system,
    write_text,
)
from genai_lab.data.json_files import parse_json
from genai_lab.errors import LabError
from genai_lab.feedback import LONGEST_TEXT, Option, RankingTask
from genai_lab.services import datasets
from genai_lab.views import View

PAIR = {"chosen", "rejected"}
IMPORTED = "import"


@dataclass(frozen=True)
class Columns(View):
    """Which columns of a file say what. `systems` has a name for each candidate, or one column that joins them by the
    `separator`; `votes` are columns of annotators: 0 for a tie, the number of the better of two candidates, or groups
    as JSON; `gold` is the same, and may name the best of more than two.
    """

    prompt: tuple[str, ...] = ()
    completions: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    votes: tuple[str, ...] = ()
    gold: str = ""
    separator: str = "_"


class BadCell(Exception):
    def __init__(self, column: str, reason: str) -> None:
        self.column, self.reason = column, reason


def task_of(row: dict[str, Any], columns: Columns) -> RankingTask:
    prompt, texts = _asked_and_answered(row, columns)
    size = len(texts)
    names = _systems(row, columns, size)
    gold = _groups(row.get(columns.gold), size, columns.gold) if columns.gold and row.get(columns.gold) else None
    votes = tuple(
        (name, groups)
        for name in columns.votes
        if row.get(name) not in (None, "") and (groups := _vote(row[name], size, name))
    )
    if set(columns.completions) == PAIR and not columns.votes:
        votes = ((IMPORTED, ((0,), (1,)) if columns.completions[0] == "chosen" else ((1,), (0,))),)
    options = tuple(Option(name, text) for name, text in zip(names, texts, strict=True))
    return RankingTask(prompt, options, gold, votes)


def _asked_and_answered(row: dict[str, Any], columns: Columns) -> tuple[str, list[str]]:
    """The prompt and the completions as texts, whichever form they have; raises LabError for turns that cannot be read.

    A chosen and a rejected side without a column of prompts begin with their prompt.
    """
    system = next((name for name in SYSTEM_COLUMNS if name in row), None)
    turns = read_prompt(row, columns.prompt, system) if columns.prompt else None
    if set(columns.completions) == PAIR:
        sides = [row.get(name) for name in columns.completions]
        pair = read_preference(sides[0], sides[1], turns)
        if not pair.prompt:
            raise BadCell(columns.completions[0], "begins with no prompt that the other side shares")
        parts = (
            pair.prompt if turns is not None else with_system(pair.prompt, row.get(system or "")),
            pair.chosen,
            pair.rejected,
        )
        prompt, *texts = (
            _fitting(write_text(part), name) for part, name in zip(parts, ("prompt", *columns.completions), strict=True)
        )
        return prompt, texts
    return _fitting(write_text(turns or ()), ", ".join(columns.prompt)), _texts(row, columns.completions)


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    messages = read_cell(value)
    return _fitting(datasets.text_of(value) if messages is None else write_text(messages), name)


def _fitting(value: str, name: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise BadCell(name, f"has {len(value):,} characters; at most {LONGEST_TEXT:,} can be shown")
    return value


def _texts(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    if len(names) > 1:
        return [_text(row, name) for name in names if row.get(name) is not None]
    value = _parsed(row.get(names[0]))
    if isinstance(value, list):
        value = [text if isinstance(text, str) else write_text(read_messages(text) or ()) for text in value]
    if not isinstance(value, list):
        raise BadCell(names[0], "is not a list of completions")
    if any(len(text) > LONGEST_TEXT for text in value):
        raise BadCell(names[0], f"has a completion of more than {LONGEST_TEXT:,} characters")
    return list(value)


def _systems(row: dict[str, Any], columns: Columns, size: int) -> list[str]:
    if len(columns.systems) == size:
        return [_text(row, name) or f"candidate {n}" for n, name in enumerate(columns.systems, 1)]
    if len(columns.systems) == 1:
        value = _parsed(row.get(columns.systems[0]))
        parts = value if isinstance(value, list) else split_names(str(value or ""), columns.separator)
        if len(parts) == size and all(parts):
            return [str(part) for part in parts]
        how = "" if isinstance(value, list) else f" when it is split at {columns.separator!r}"
        raise BadCell(columns.systems[0], f"names {len(parts)} systems for {size} completions{how}")
    if columns.systems:
        raise BadCell(columns.systems[0], f"there are {len(columns.systems)} system columns for {size} completions")
    return (
        list(columns.completions) if len(columns.completions) == size else [f"candidate {n + 1}" for n in range(size)]
    )


def _vote(value: Any, size: int, column: str) -> tuple[tuple[int, ...], ...]:
    """As `_groups`; but who names the best of many has not said that the others tie, and would be counted so."""
    groups = _groups(value, size, column)
    if size > 2 and len(groups) > 1 and not isinstance(_parsed(value), list):
        raise BadCell(
            column,
            f"names the best of {size} alone; write the whole order as groups counted from 0, such as [[1], [0, 2]]",
        )
    return groups


def _groups(value: Any, size: int, column: str) -> tuple[tuple[int, ...], ...]:
    """Groups of places from what a cell says: 0 a tie, 1 to k the best one, or groups from 0 as JSON."""
    from genai_lab.feedback import checked_groups

    parsed = _parsed(value)
    if isinstance(parsed, list):
        try:
            return checked_groups(parsed, size, ties=True)
        except LabError as problem:
            raise BadCell(column, str(problem).rstrip(".")) from None
    if (
        isinstance(parsed, bool)
        or not isinstance(parsed, int | float)
        or int(parsed) != parsed
        or not 0 <= parsed <= size
    ):
        raise BadCell(column, f"is {str(value)[:40]!r}, but must be 0 for a tie or 1 to {size} for the best")
    best = int(parsed) - 1
    if best < 0:
        return (tuple(range(size)),)
    return ((best,), tuple(index for index in range(size) if index != best))


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except (LabError, ValueError, RecursionError):
        return value


def split_names(value: Any, separator: str) -> list[str]:
    return [part.strip() for part in value.split(separator)] if isinstance(value, str) else []
