"""Rows out of files, one after the other: CSV, TSV, JSON, JSON Lines, Parquet, lines of text, and gzip of these."""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from genai_lab.data import SPLIT, BadRow
from genai_lab.errors import LabError

Item = dict[str, Any] | BadRow
FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".txt")
LONGEST_CELL = 10_000_000
LARGEST_JSON = 256_000_000
DEEPEST = 100
OLD_SPLIT = "exported_split"
MOST_COLUMNS = 1_000


class _BadCell(LabError):
    """What is wrong with one cell, or with the whole row where `column` is None."""

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.column = column


def read(path: Path, name: str = "") -> Iterator[Item]:
    """Every row as {column: value}, or what is wrong with it; raises LabError where the whole file cannot be read.

    `name` is the file's name where `path` is a temporary one. CSV cells are text; other values are as in the file. The
    column SPLIT of an export comes as OLD_SPLIT, so that an export can be imported again.
    """
    suffix, packed = kind_of(name or path.name)
    try:
        if suffix == ".parquet":
            yield from _parquet(path, packed)
            return
        with _opened(path, packed, "" if suffix in (".csv", ".tsv") else "\n") as stream:
            if suffix in (".csv", ".tsv"):
                yield from _delimited(stream, "\t" if suffix == ".tsv" else ",")
            elif suffix == ".json":
                yield from _json(stream)
            elif suffix == ".txt":
                yield from _text_lines(stream)
            else:
                yield from _json_lines(stream)
    except UnicodeDecodeError as problem:
        raise LabError(
            f"The file is not UTF-8 text (it holds the byte {problem.object[problem.start]:#04x}); save it as UTF-8."
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise LabError("The gzip file is damaged or cut short; compress it again.") from None
    except IsADirectoryError:
        raise LabError("That is a folder; give one of its files.") from None
    except OSError as problem:
        raise LabError(f"The file cannot be read ({problem.strerror or problem}).") from None


def kind_of(name: str) -> tuple[str, bool]:
    """The format by the file's name, and whether it is compressed; raises LabError for others."""
    low = name.lower()
    packed = low.endswith(".gz")
    suffix = Path(low.removesuffix(".gz")).suffix
    if suffix not in FORMATS:
        raise LabError(
            f"{name[-100:]!r} is in no format that can be read; use CSV, TSV, JSON, JSON Lines, Parquet or "
            "plain text (a row a line), or gzip of these."
        )
    return suffix, packed


def parsed(text: str) -> Any:
    """JSON as the standard has it: no NaN, no Infinity, no more than DEEPEST levels; raises LabError."""
    try:
        found = json.loads(text, parse_constant=_constant, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno:,}, " if problem.lineno > 1 else ""
        raise LabError(f"{problem.msg[0].lower()}{problem.msg[1:]} at {where}character {problem.colno:,}") from None
    except RecursionError:
        raise LabError(f"it is nested more than {DEEPEST} levels deep") from None
    if text.count("[") + text.count("{") > DEEPEST and _depth(found) > DEEPEST:
        raise LabError(f"it is nested more than {DEEPEST} levels deep")
    return found


def _opened(path: Path, packed: bool, newline: str) -> IO[str]:
    opened = gzip.open if packed else open
    return io.TextIOWrapper(opened(path, "rb"), encoding="utf-8-sig", newline=newline)  # type: ignore[arg-type]


def _lines(stream: IO[str]) -> Iterator[str]:
    """Lines in pieces of at most LONGEST_CELL + 1 characters, so that no line fills the memory."""
    return iter(partial(stream.readline, LONGEST_CELL + 1), "")


def _delimited(stream: IO[str], delimiter: str) -> Iterator[Item]:
    csv.field_size_limit(LONGEST_CELL)
    lines = csv.reader(_lines(stream), delimiter=delimiter, strict=True)
    try:
        names = next(lines, None)
    except csv.Error as problem:
        raise LabError(f"The header cannot be read ({problem}); look for an open quotation mark.") from None
    names = _checked(names)
    number = 0
    while True:
        number += 1
        try:
            cells = next(lines, None)
        except csv.Error as problem:
            yield BadRow(number, None, f"it cannot be read ({problem}), near line {lines.line_num:,}")
            if "unexpected end" in str(problem):
                return
            continue
        if cells is None:
            return
        if not cells:
            number -= 1
        elif len(cells) < len(names):
            missing = names[len(cells)]
            yield BadRow(number, missing, f"the cell is missing; the row has {len(cells)} of {len(names)} cells")
        elif len(cells) > len(names):
            yield BadRow(number, None, f"it has {len(cells)} cells, but the header names {len(names)} columns")
        else:
            yield dict(zip(names, cells, strict=True))


def _checked(names: Sequence[str] | None) -> list[str]:
    """The names of the columns, of which each must have its own; raises LabError."""
    if not names or not any(names):
        raise LabError("The file is empty or has no header; its first line must name the columns.")
    if len(names) > MOST_COLUMNS:
        raise LabError(f"The table has {len(names):,} columns, and at most {MOST_COLUMNS:,} can be used.")
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise LabError(f"Column {place} has no name in the header; give it one.")
        if len(name) > 200:
            raise LabError(f"The name of column {place} has {len(name):,} characters; the header may be missing.")
    made = [OLD_SPLIT if name == SPLIT else name for name in names]
    twice = sorted(name for name in set(made) if made.count(name) > 1)
    if twice:
        raise LabError(f"The column {twice[0]!r} occurs more than once in the header; rename one of them.")
    return made


def _text_lines(stream: IO[str]) -> Iterator[Item]:
    number = 0
    for line in _lines(stream):
        if text := line.rstrip("\r\n"):
            number += 1
            if len(text) > LONGEST_CELL:
                raise LabError(f"Row {number:,}: a line has more than {LONGEST_CELL:,} characters; break it up.")
            yield {"text": text}


def _json_lines(stream: IO[str]) -> Iterator[Item]:
    number, skipping = 0, False
    for line in _lines(stream):
        whole = line.endswith("\n")
        if skipping:
            skipping = not whole
            continue
        if not line.strip(" \t\r\n"):
            continue
        number += 1
        if len(line) > LONGEST_CELL and not whole:
            skipping = True
            yield BadRow(number, None, f"it has more than {LONGEST_CELL:,} characters")
            continue
        yield _item(line, number)


def _item(line: str, number: int) -> Item:
    try:
        return _object(parsed(line))
    except LabError as problem:
        return BadRow(number, getattr(problem, "column", None), str(problem))


def _json(stream: IO[str]) -> Iterator[Item]:
    text = stream.read(LARGEST_JSON + 1)
    if len(text) > LARGEST_JSON:
        raise LabError(f"A JSON file may have {LARGEST_JSON:,} characters; save larger ones as JSON Lines.")
    if not text.strip():
        raise LabError("The file is empty; it must hold a list of objects.")
    try:
        found = parsed(text)
    except LabError as problem:
        raise LabError(f"The file is no valid JSON: {problem}.") from None
    del text
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        found = lists[0] if len(lists) == 1 else [found]
    if not isinstance(found, list):
        raise LabError("The JSON file must hold a list of objects, one a row.")
    if found and all(isinstance(one, str) for one in found):
        found = [{"text": one} for one in found]
    for number, one in enumerate(found, 1):
        try:
            yield _object(one)
        except LabError as problem:
            yield BadRow(number, getattr(problem, "column", None), str(problem))


def _constant(word: str) -> Any:
    raise LabError(f"it holds {word}, which JSON does not have")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise LabError(f"the number {text[:30]} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > 1_000:
        raise LabError(f"a number has {len(text):,} digits, and at most 1,000 can be kept")
    return int(text)


def _depth(found: Any) -> int:
    """How many levels of lists and objects it has; without recursion."""
    level, depth = [found], 0
    while level := [one for one in level if isinstance(one, list | dict)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _object(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
        raise _BadCell(f"it is no object with named columns but {kinds.get(type(found), 'a number')}")
    if not found:
        raise _BadCell("it has no columns")
    if len(found) > MOST_COLUMNS:
        raise _BadCell(f"it has {len(found):,} columns, and at most {MOST_COLUMNS:,} can be used")
    if SPLIT in found:
        if OLD_SPLIT in found:
            raise _BadCell(f"the row has a column {OLD_SPLIT!r} beside it; rename one of them", SPLIT)
        found = {OLD_SPLIT if name == SPLIT else name: value for name, value in found.items()}
    for name, value in found.items():
        if not name.strip():
            raise _BadCell("a column has no name; give it one", name)
        _storable(name, value)
    return found


def _storable(name: str, value: Any) -> None:
    """Half a character (a lone surrogate) cannot be stored or shown."""
    try:
        name.encode()
        if isinstance(value, str):
            value.encode()
            if len(value) > LONGEST_CELL:
                raise _BadCell(f"the cell has more than {LONGEST_CELL:,} characters", name)
        elif isinstance(value, list | dict):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        shown = name.encode("ascii", "backslashreplace").decode()
        raise _BadCell("it holds half a character (a lone surrogate)", shown) from None


def _parquet(path: Path, packed: bool) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if packed:
        raise LabError("A Parquet file is compressed inside; upload it without gzip.")
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as problem:
        raise LabError(f"The Parquet file cannot be read ({_short(problem)}).") from None
    _checked(table.schema_arrow.names)
    number = 0
    try:
        for batch in table.iter_batches(1_000):
            for row in batch.to_pylist():
                number += 1
                yield plain_row(row, number)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, ValueError) as problem:
        raise LabError(f"The Parquet file is damaged after row {number:,} ({_short(problem)}).") from None


def plain_row(row: dict[str, Any], number: int) -> Item:
    """The row with values that JSON can hold; parsed text has been looked at already."""
    made, column = {}, None
    try:
        for column, value in row.items():
            made[column] = plain(value)
        return _object(made)
    except LabError as problem:
        return BadRow(number, getattr(problem, "column", column), str(problem))


def plain(value: Any) -> Any:
    """What JSON can hold: times and decimals as text, bytes as the text that they are; raises LabError for others."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise LabError(f"it holds {value}, which JSON does not have")
        return value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise LabError("it holds bytes that are no UTF-8 text") from None
    return str(value)


def _short(problem: BaseException) -> str:
    return (str(problem).splitlines() or ["unknown"])[0][:160].rstrip(".")
