"""Rows out of JSON: a list of objects, objects line by line, and the forms that other programs write tables in."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from genai_lab.data import SPLITS
from genai_lab.data.conversations import Unreadable, read_cell
from genai_lab.data.sniffing import FileOptions, NeedsChoice
from genai_lab.errors import LabError

LARGEST_JSON = 256_000_000
MOST_VALUES = 10_000_000
READ_AT_ONCE = 4_000_000
DEEPEST = 100
LONGEST_FIRST_LINE = 1_000_000
SPLIT_NAMES = {*SPLITS, "val", "valid", "dev", "eval", "training", "testing"}
NaN = Callable[[], None]


def parse_json(text: str, on_nan: NaN | None = None) -> Any:
    """JSON as the standard has it, at most DEEPEST levels deep; raises LabError.

    A NaN is null, and `on_nan` is called for it; Infinity is refused.
    """

    def constant(word: str) -> None:
        if word != "NaN":
            raise LabError(f"it holds {word}, which JSON does not have")
        if on_nan is not None:
            on_nan()

    try:
        value = json.loads(text, parse_constant=constant, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno:,}, " if problem.lineno > 1 else ""
        raise LabError(f"{problem.msg[0].lower()}{problem.msg[1:]} at {where}character {problem.colno:,}") from None
    except RecursionError:
        raise LabError(f"it is nested more than {DEEPEST} levels deep") from None
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise LabError(f"it is nested more than {DEEPEST} levels deep")
    return value


def by_lines(head: str, lines: bool) -> bool:
    """Whether JSON is written line by line, as the beginning of the file shows; `lines` is what its name says."""
    start = head.lstrip()
    first, _, remainder = start.partition("\n")
    if start.startswith("["):
        # A list that ends within its line may be a row; one that goes on is the whole file.
        return lines and bool(remainder.strip()) and _whole(first)
    return lines if not remainder.strip() else (lines and not _opens(first)) or _whole(first)


def table_of(document: Any, options: FileOptions) -> list[Any]:
    """The rows that a whole JSON file holds; raises LabError, and NeedsChoice where it would be a single row."""
    rows = _rows_of(document)
    if rows is None and isinstance(document, dict):
        if not options.as_is:
            raise NeedsChoice(
                f"The file would become one row with {_counted(len(document), 'column')}; "
                "is it to be read so? A table is a list of objects, one a row.",
                "as_is",
                True,
                "Import as one row",
            )
        rows = [document]
    if rows is None:
        raise LabError("The JSON file must hold a list of objects, one a row.")
    if rows and all(isinstance(row, str) for row in rows):
        return [{"text": row} for row in rows]
    return rows


def _rows_of(document: Any) -> list[Any] | None:
    """The rows of a list, or of an object by columns, by ids, by splits, or with one list of rows in it."""
    if isinstance(document, list):
        return document
    if not isinstance(document, dict) or not document or _talks(document):
        return None
    values = list(document.values())
    if _in_pandas_split(document):
        return [dict(zip(document["columns"], row, strict=True)) for row in document["data"]]
    if all(name.lower() in SPLIT_NAMES for name in document):
        parts = {name: _rows_of(value) for name, value in document.items()}
        if all(part is not None for part in parts.values()):
            return [_with_split(row, name) for name, part in parts.items() for row in part or ()]
    lists = [cell for cell in values if isinstance(cell, list) and cell and isinstance(cell[0], dict)]
    if len(lists) == 1 and not (len(document) > 1 and all(isinstance(cell, list) for cell in values)):
        return None if _talks(lists[0]) else lists[0]
    if all(isinstance(cell, list) for cell in values):
        return _from_columns(document)
    if all(isinstance(cell, dict) for cell in values):
        return _from_objects(document)
    return None


def _in_pandas_split(document: Mapping[str, Any]) -> bool:
    """{"columns": names, "index": ..., "data": rows}, as pandas writes with orient="split"."""
    names, data = document.get("columns"), document.get("data")
    return (
        set(document) <= {"columns", "index", "data"}
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and isinstance(data, list)
        and all(isinstance(row, list) and len(row) == len(names) for row in data)
    )


def _talks(value: Any) -> bool:
    """Whether a value is one conversation, and no table."""
    try:
        return read_cell(value) is not None
    except Unreadable:
        return True


def _with_split(row: Any, name: str) -> Any:
    if isinstance(row, str):
        row = {"text": row}
    return {**row, "split": row.get("split", name)} if isinstance(row, dict) else row


def _from_columns(columns: Mapping[str, list[Any]]) -> list[Any] | None:
    """{"a": [1, 2], "b": [3, 4]}: equally long columns."""
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        (short, few), (long, many) = (pick(sizes.items(), key=lambda item: item[1]) for pick in (min, max))
        raise LabError(
            f"The JSON file holds columns of different lengths: {short!r} has {few:,} cells and {long!r} {many:,}; "
            "give all the same number."
        )
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _from_objects(objects: Mapping[str, dict[str, Any]]) -> list[Any] | None:
    """Objects by column, {"a": {"0": 1, "1": 2}}, or by id, {"x1": {"a": 1}, "x2": {"a": 2}}."""
    inner = [dict.fromkeys(each) for each in objects.values()]
    keys = {key for each in inner for key in each}
    if not keys:
        return None
    if all(key.lstrip("-").isdecimal() for key in keys):
        order = list(dict.fromkeys(key for each in inner for key in each))
        return [{name: column.get(key) for name, column in objects.items()} for key in order]
    if len(objects) == 1:
        (only,) = objects.values()
        return _rows_of(only)
    if any(isinstance(value, dict) for each in objects.values() for value in each.values()) and not _alike(inner):
        return None
    name = "id" if "id" not in keys else "key"
    return [{name: key, **row} for key, row in objects.items()] if _alike(inner) else None


def _alike(inner: list[dict[str, Any]]) -> bool:
    """Whether the objects have most of their names in common, as rows of a table do."""
    common = set(inner[0]).intersection(*inner)
    return bool(common) and 2 * len(common) >= max(map(len, inner))


def read_document(stream: IO[str]) -> str:
    """All of a JSON file; raises LabError where it, or its values in memory, would be too large."""
    pieces, size, values = [], 0, 0
    while piece := stream.read(READ_AT_ONCE):
        pieces.append(piece)
        size += len(piece)
        values += piece.count(",") + piece.count("[") + piece.count("{")
        if size > LARGEST_JSON:
            raise LabError(f"A JSON file may have {LARGEST_JSON:,} characters; save larger ones as JSON Lines.")
        if values > MOST_VALUES:
            raise LabError(f"The JSON file holds more than {MOST_VALUES:,} values; save it as JSON Lines.")
    return "".join(pieces)


def _whole(line: str) -> bool:
    """Whether a line is JSON by itself."""
    if len(line) > LONGEST_FIRST_LINE:
        return line.rstrip().endswith(("}", "]"))
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _opens(line: str) -> bool:
    """Whether a line begins an object that is written over several lines."""
    return line.strip() == "{"


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise LabError(f"the number {text[:30]} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > 1_000:
        raise LabError(f"a number has {len(text):,} digits, and at most 1,000 can be kept")
    return int(text)


def _depth(value: Any) -> int:
    """How many levels of lists and objects it has; without recursion."""
    level, depth = [value], 0
    while level := [node for node in level if isinstance(node, list | dict)]:
        depth += 1
        level = [inner for node in level for inner in (node.values() if isinstance(node, dict) else node)]
    return depth


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def single_line(row: Mapping[str, Any], options: FileOptions) -> None:
    """Asks about a file of one line whose every cell is a list or an object: a table by columns, or one row."""
    many = [value for value in row.values() if isinstance(value, list | dict) and len(value) > 1]
    if options.as_is or not row or len(many) < len(row) or any(_talks(value) for value in many):
        return
    raise NeedsChoice(
        f"The file would become one row with {_counted(len(row), 'column')}, whose cells are lists; is it to be read "
        "so? A table by columns is read from a file that ends in .json.",
        "as_is",
        True,
        "Import as one row",
    )


def rows_by_line(lines: Iterator[str], longest: int) -> Iterator[tuple[int, str | None]]:
    """(number from 1, line) of every line that is not blank; None for one of more than `longest` characters."""
    number, skipping = 0, False
    for line in lines:
        ends = line.endswith("\n")
        if skipping:
            skipping = not ends
            continue
        if not line.strip(" \t\r\n"):
            continue
        number += 1
        skipping = len(line) > longest and not ends
        yield number, None if skipping else line
