"""Rows out of files, one after the other: CSV, TSV, JSON, JSON Lines, Parquet, lines of text, and gzip of these."""

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from genai_lab.data import SPLIT, BadRow, BadRows, Note
from genai_lab.data.delimited import LONGEST_CELL, delimited_rows, lines_of
from genai_lab.data.header import MOST_COLUMNS, OLD_SPLIT, checked_names
from genai_lab.data.json_files import by_lines, parse_json, read_document, rows_by_line, single_line, table_of
from genai_lab.data.sniffing import LOOKED_AT, FileOptions, encoding_of, format_of, no_text
from genai_lab.errors import LabError

Item = dict[str, Any] | BadRow | Note
FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".txt")
LONGEST_ROW = 40_000_000
SUSPICIOUS, MOST_UNPACKED = 64_000_000, 1_000
ROWS_A_BATCH, LARGE_BATCH = 64, 16_000_000


class _BadCell(LabError):
    """What is wrong with one cell, or with the whole row where `column` is None."""

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.column = column


def read(path: Path, name: str = "", options: FileOptions | None = None) -> Iterator[Item]:
    """Every row as {column: value}, or what is wrong with it, and notes on how the file was read; raises LabError
    where the whole file cannot be read, and NeedsChoice where it can after a word.

    `name` is the file's name where `path` is a temporary one. CSV cells are text; other values are as in the file. The
    column SPLIT of an export comes as OLD_SPLIT, so that an export can be imported again.
    """
    suffix, packed = kind_of(name or path.name)
    options = options or FileOptions()
    encoding = "utf-8"
    try:
        if suffix == ".parquet":
            yield from _bounded(_parquet(path, packed), path)
            return
        encoding = encoding_of(_head(path, packed), options)
        if encoding.startswith("utf-16") and not options.encoding:
            yield Note("The file is in UTF-16.")
        with _opened(path, packed, encoding, "" if suffix in (".csv", ".tsv", "") else "\n") as stream:
            yield from _bounded(_rows(stream, suffix, options), path)
    except UnicodeDecodeError as problem:
        raise no_text(problem, encoding) from None
    except UnicodeError:
        raise LabError(f"The file is not {encoding.upper()} text; choose another encoding.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise LabError("The gzip file is damaged or cut short; compress it again.") from None
    except IsADirectoryError:
        raise LabError("That is a folder; give one of its files.") from None
    except OSError as problem:
        raise LabError(f"The file cannot be read ({problem.strerror or problem}).") from None


def rows(path: Path, name: str = "", options: FileOptions | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a file without notes; raises BadRows at the first that cannot be read."""
    return only_rows(read(path, name, options))


def only_rows(items: Iterable[Item]) -> Iterator[dict[str, Any]]:
    """The rows alone; raises BadRows at the first that cannot be read."""
    for item in items:
        if isinstance(item, BadRow):
            raise BadRows((item,), 1)
        if isinstance(item, dict):
            yield item


def text_of(value: Any) -> str:
    """A cell for reading: text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _rows(stream: IO[str], suffix: str, options: FileOptions) -> Iterator[Item]:
    suffix = suffix or format_of(stream)
    if suffix in (".csv", ".tsv"):
        return delimited_rows(stream, "\t" if suffix == ".tsv" else ",", options)
    if suffix == ".txt":
        return _text_lines(stream)
    head = stream.read(LOOKED_AT)
    stream.seek(0)
    if not by_lines(head, suffix != ".json"):
        return _json(stream, options)
    alone = len(head) < LOOKED_AT and not head.strip().partition("\n")[2]
    return _json_lines(stream, options, alone)


def _bounded(items: Iterator[Item], path: Path) -> Iterator[Item]:
    """Refuses rows, and files, that hold far more than their bytes do."""
    size, total, number = max(1, path.stat().st_size), 0, 0
    for item in items:
        if isinstance(item, dict):
            number += 1
            long = sum(len(value) for value in item.values() if isinstance(value, str))
            total += long
            if long > LONGEST_ROW:
                item = BadRow(number, None, f"it has {long:,} characters, and at most {LONGEST_ROW:,} can be used")
            if total > SUSPICIOUS and total > MOST_UNPACKED * size:
                raise LabError(
                    f"The file unpacks to more than {MOST_UNPACKED:,} times its size, as no table does; "
                    "look where it comes from."
                )
        elif isinstance(item, BadRow):
            number = item.number
        yield item


def kind_of(name: str) -> tuple[str, bool]:
    """The format by the file's name ("" where that has no ending), and whether it is compressed; raises LabError."""
    low = name.lower()
    packed = low.endswith(".gz")
    suffix = Path(low.removesuffix(".gz")).suffix
    if suffix and suffix not in FORMATS:
        raise LabError(
            f"{name[-100:]!r} is in no format that can be read; use CSV, TSV, JSON, JSON Lines, Parquet or "
            "plain text (a row a line), or gzip of these."
        )
    return suffix, packed


def _head(path: Path, packed: bool) -> bytes:
    with (gzip.open if packed else open)(path, "rb") as stream:
        return stream.read(4096)


def _opened(path: Path, packed: bool, encoding: str, newline: str) -> IO[str]:
    opened = gzip.open if packed else open
    return io.TextIOWrapper(opened(path, "rb"), encoding=encoding, newline=newline)  # type: ignore[arg-type]


def _text_lines(stream: IO[str]) -> Iterator[Item]:
    number = 0
    for line in lines_of(stream):
        if text := line.rstrip("\r\n"):
            number += 1
            if len(text) > LONGEST_CELL:
                raise LabError(f"Row {number:,}: a line has more than {LONGEST_CELL:,} characters; break it up.")
            yield {"text": text}


def _json_lines(stream: IO[str], options: FileOptions, alone: bool = False) -> Iterator[Item]:
    """`alone` where the file is one line."""
    nulls = _Nulls()
    for number, line in rows_by_line(lines_of(stream), LONGEST_CELL):
        if line is None:
            yield BadRow(number, None, f"it has more than {LONGEST_CELL:,} characters")
            continue
        item = _item(line, number, nulls)
        if alone and isinstance(item, dict):
            single_line(item, options)
        yield item
    yield from nulls.notes()


def _item(line: str, number: int, nulls: "_Nulls") -> Item:
    try:
        return _object(parse_json(line, lambda: nulls.add(number)))
    except LabError as problem:
        return BadRow(number, getattr(problem, "column", None), str(problem))


def _json(stream: IO[str], options: FileOptions) -> Iterator[Item]:
    text = read_document(stream)
    if not text.strip():
        raise LabError("The file is empty; it must hold a list of objects.")
    nulls = _Nulls()
    try:
        document = parse_json(text, lambda: nulls.add(0))
    except LabError as problem:
        if not str(problem).startswith("extra data"):
            raise LabError(f"The file is not valid JSON: {problem}.") from None
        yield from _json_lines(io.StringIO(text), options)
        return
    del text
    for number, row in enumerate(table_of(document, options), 1):
        try:
            yield _object(row)
        except LabError as problem:
            yield BadRow(number, getattr(problem, "column", None), str(problem))
    yield from nulls.notes()


class _Nulls:
    """Counts the cells that hold NaN, which are read as null."""

    def __init__(self) -> None:
        self.count = self.first = 0

    def add(self, row: int) -> None:
        self.first = self.first or row
        self.count += 1

    def notes(self) -> Iterator[Note]:
        if self.count:
            where = f", the first in row {self.first:,}" if self.first else ""
            cells = "1 cell holds" if self.count == 1 else f"{self.count:,} cells hold"
            yield Note(f"{cells} NaN{where}, read as null.")


def _object(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
        raise _BadCell(f"it is not an object with named columns but {kinds.get(type(row), 'a number')}")
    if not row:
        raise _BadCell("it has no columns")
    if len(row) > MOST_COLUMNS:
        raise _BadCell(f"it has {len(row):,} columns, and at most {MOST_COLUMNS:,} can be used")
    if SPLIT in row:
        if OLD_SPLIT in row:
            raise _BadCell(f"the row has a column {OLD_SPLIT!r} beside it; rename one of them", SPLIT)
        row = {OLD_SPLIT if name == SPLIT else name: value for name, value in row.items()}
    for name, value in row.items():
        if not name.strip():
            raise _BadCell("a column has no name; give it one", name)
        _storable(name, value)
    return row


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
        safe_name = name.encode("ascii", "backslashreplace").decode()
        raise _BadCell("it holds half a character (a lone surrogate)", safe_name) from None


def _parquet(path: Path, packed: bool) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if packed:
        raise LabError("A Parquet file is compressed inside; upload it without gzip.")
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as problem:
        raise LabError(f"The Parquet file cannot be read ({_short(problem)}).") from None
    checked_names(table.schema_arrow.names)
    number, nulls = 0, _Nulls()
    try:
        for batch in table.iter_batches(ROWS_A_BATCH):
            for row in _one_by_one(batch):
                number += 1
                yield plain_row(row, number, nulls.add)
        yield from nulls.notes()
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, ValueError) as problem:
        raise LabError(f"The Parquet file is damaged after row {number:,} ({_short(problem)}).") from None


def _one_by_one(batch: Any) -> Iterator[dict[str, Any]]:
    """The rows of a batch; where they are large, one is in memory beside it."""
    if batch.nbytes < LARGE_BATCH:
        yield from batch.to_pylist()
        return
    for index in range(len(batch)):
        yield from batch.slice(index, 1).to_pylist()


def plain_row(row: dict[str, Any], number: int, on_nan: Callable[[int], None] | None = None) -> Item:
    """The row with values that JSON can hold, NaN as null, told by `on_nan`; parsed text has been looked at already."""
    values: dict[str, Any] = {}
    column = None
    try:
        for column, value in row.items():
            if isinstance(value, float) and math.isnan(value):
                value = None
                if on_nan is not None:
                    on_nan(number)
            values[column] = plain(value)
        return _object(values)
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
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise LabError("it holds bytes that are not UTF-8 text") from None
    return str(value)


def _short(problem: BaseException) -> str:
    return (str(problem).splitlines() or ["unknown"])[0][:160].rstrip(".")
