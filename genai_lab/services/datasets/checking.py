"""What is looked at in rows before they are kept: conversations that can be read, cells that are empty."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from genai_lab.data import BadRow, Note, readers, tables
from genai_lab.data.conversations import Unreadable, read_cell, read_messages
from genai_lab.data.guessing import guess

TURNS = ("input", "messages", "chosen", "rejected")
MOST_CHARACTERS = 4_000_000
Mapped = Mapping[str, Sequence[str]]


def first_rows(items: Iterable[readers.Item], limit: int) -> tuple[list[dict[str, Any]], list[BadRow], list[str]]:
    """The first rows as far as they are not too large, with bad ones and notes among them."""
    rows: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    notes: list[str] = []
    size = 0
    for item in items:
        if isinstance(item, BadRow):
            bad.append(item)
        elif isinstance(item, Note):
            notes.append(item.text)
        else:
            rows.append(item)
            size += sum(len(cell) for cell in item.values() if isinstance(cell, str))
        if len(rows) + len(bad) >= limit or size > MOST_CHARACTERS:
            break
    return rows, bad, notes


def with_turns(
    items: Callable[[], Iterable[readers.Item]], mapping: Mapped | None
) -> Callable[[], Iterable[readers.Item]]:
    """The rows, of which those whose conversation or preference cannot be read are bad ones."""
    if mapping is None:
        rows, _, _ = first_rows(items(), tables.GUESSED_FROM)
        mapping = guess(list(dict.fromkeys(name for row in rows for name in row)), rows)
    names = {name: role for role in TURNS for name in mapping.get(role, ())}
    if not names:
        return items

    sides = [name for role in ("chosen", "rejected") for name in mapping.get(role, ())]

    def looked_at() -> Iterator[readers.Item]:
        number, same = 0, []
        for item in items():
            number += not isinstance(item, Note)
            if isinstance(item, dict) and len(sides) == 2 and item.get(sides[0]) == item.get(sides[1]):
                same.append(number)
            yield _readable(item, number, names) if isinstance(item, dict) else item
        if same:
            reason = f"{len(same):,} of {number:,} rows prefer a text to itself, so that nothing is learned of them"
            yield Note(f"{reason}; the first is row {same[0]:,}.")

    return looked_at


def _readable(row: dict[str, Any], number: int, names: Mapping[str, str]) -> readers.Item:
    for name, role in names.items():
        try:
            (read_cell if role == "input" else read_messages)(row.get(name))
        except Unreadable as problem:
            return BadRow(number, name, str(problem))
    return row


def empty_columns(written: tables.Written) -> list[str]:
    """How many rows have nothing in a column that is read or learned."""
    sentences = []
    columns = {column.name: column for column in written.columns}
    for role in ("input", "reference", "label", "messages", "chosen", "rejected"):
        for name in written.roles.get(role, ()):
            if count := tables.empty_cells(written.path, columns[name]):
                sentences.append(f"{count:,} of {written.rows:,} rows have an empty {role} (column {name!r}).")
    return sentences
