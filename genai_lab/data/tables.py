"""A dataset version on disk: one Parquet file of text cells, written in a stream, read by row numbers."""

import hashlib
import json
import os
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from genai_lab.data import SPLIT, SPLITS, BadRow, BadRows, Column, Note, SplitPlan
from genai_lab.data.readers import Item
from genai_lab.data.splits import chosen_plan, marks_of
from genai_lab.errors import LabError

BLOCK = 5_000
BLOCK_CHARACTERS = 16_000_000
SHOWN_BAD = 50
MOST_COLUMNS = 1_000
DRAFT = ".draft"
GUESSED_FROM = 200
PACKED: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "use_dictionary": [SPLIT]}
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Written:
    """What came of an import: the file, its hash over columns, roles, rows and splits, and the rows left out."""

    path: Path
    content_hash: str
    rows: int
    columns: tuple[Column, ...]
    roles: dict[str, tuple[str, ...]]
    splits: dict[str, int]
    left_out: tuple[BadRow, ...]
    left_out_count: int
    notes: tuple[str, ...] = ()
    plan: SplitPlan = field(default_factory=SplitPlan)


@dataclass
class _Shape:
    """What a first look at all rows tells: in how many rows each column is, which hold null, which more than text."""

    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    null: set[str] = field(default_factory=set)
    json: set[str] = field(default_factory=set)

    def columns(self) -> tuple[Column, ...]:
        """A text cell cannot tell null from absent, so that a column that has both is kept as JSON."""
        shaped = []
        for name, count in self.counts.items():
            sparse = count < self.rows
            coded = name in self.json or (sparse and name in self.null)
            shaped.append(Column(name, "json" if coded else "text", sparse))
        return tuple(shaped)


@dataclass
class _Bad:
    """The rows that cannot be read: the first SHOWN_BAD of them, and how many; and notes on the others."""

    first: list[BadRow] = field(default_factory=list)
    count: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, row: BadRow) -> None:
        self.count += 1
        if len(self.first) < SHOWN_BAD:
            self.first.append(row)


def write(
    items: Callable[[], Iterable[Item]],
    folder: Path,
    plan: SplitPlan,
    *,
    roles: Callable[[Sequence[str], Sequence[Mapping[str, Any]]], Mapping[str, Sequence[str]]],
    text_only: bool,
    drop_bad: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Writes the rows below `folder` under their content's hash; nothing is left there if anything fails.

    `items` is called once for text tables and twice for others, whose columns are only known at their end; `roles`
    gets the columns with the first rows and may refuse them. Raises BadRows where rows cannot be read and are not to
    be dropped. Memory does not grow with the number of rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    draft = folder / f".{os.getpid()}-{random.SystemRandom().randrange(2**48):x}{DRAFT}"
    try:
        columns = None if text_only else _shape(items())
        rows, bad, first, columns = _first_pass(items(), columns, draft, drop_bad, progress)
        if not rows:
            raise LabError("There are no rows to import.")
        names = [column.name for column in columns]
        column_roles = {role: tuple(role_columns) for role, role_columns in roles(names, first).items()}
        return _second_pass(
            draft, folder, chosen_plan(plan, names, first, column_roles), rows, columns, column_roles, bad
        )
    finally:
        draft.unlink(missing_ok=True)
        draft.with_suffix(".new").unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Deletes the drafts of processes that are no more."""
    for path in [*folder.glob(f".*{DRAFT}"), *folder.glob(".*.new")]:
        owner = path.name[1:].partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_rows(path: Path, keys: Sequence[int], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of these numbers, in the order asked, as text cells with their split."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path)
    starts = _starts(table)
    keys_by_group: dict[int, list[int]] = {}
    for key in keys:
        keys_by_group.setdefault(bisect_right(starts, key) - 1, []).append(key)
    rows_by_key: dict[int, dict[str, Any]] = {}
    for group, members in keys_by_group.items():
        part = table.read_row_group(group, columns=list(columns) if columns else None)
        rows = part.take([key - starts[group] for key in members]).to_pylist()
        rows_by_key |= dict(zip(members, rows, strict=True))
    return [rows_by_key[key] for key in keys]


def keys_of(path: Path, split: str | None, offset: int = 0, limit: int | None = None) -> list[int]:
    """The numbers of a split's rows, or of all, from the `offset`-th on."""
    import pyarrow.parquet as pq

    if split is None:
        every = range(pq.read_metadata(path).num_rows)
        return list(every[offset:] if limit is None else every[offset : offset + limit])
    places = _keys_of_split(path, split)
    keys: list[int] = places[offset : None if limit is None else offset + limit].tolist()
    return keys


@lru_cache(maxsize=8)
def _keys_of_split(path: Path, split: str) -> Any:
    """The numbers of a split's rows as int32; remembered, as a file never changes under its name."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path, read_dictionary=[SPLIT])
    parts, start = [np.empty(0, dtype=np.int32)], 0
    for group in range(table.num_row_groups):
        for chunk in table.read_row_group(group, columns=[SPLIT])[SPLIT].chunks:
            names = chunk.dictionary.to_pylist()
            if split in names:
                matches = np.flatnonzero(chunk.indices.to_numpy() == names.index(split))
                parts.append((matches + start).astype(np.int32))
            start += len(chunk)
    return np.concatenate(parts)


def blocks(path: Path, columns: Sequence[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """All rows, a block at a time."""
    for table in arrow_blocks(path, columns):
        yield table.to_pylist()


def empty_cells(path: Path, column: Column) -> int:
    """How many cells of a column hold nothing but white space."""
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.array(["", "null", '""', "[]"] if column.kind == "json" else [""], pa.string())

    count = 0
    for block in arrow_blocks(path, [column.name]):
        cells = pc.utf8_trim_whitespace(pc.fill_null(block[column.name], ""))
        blank = pc.is_in(cells, value_set=nothing)
        count += int(pc.sum(blank).as_py() or 0)
    return count


def arrow_blocks(path: Path, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """All rows as Arrow tables, a block at a time; one block is in memory."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path)
    for group in range(table.num_row_groups):
        yield table.read_row_group(group, columns=list(columns) if columns else None)


def _starts(table: Any) -> list[int]:
    sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    return [0, *accumulate(sizes)][:-1]


def _shape(items: Iterable[Item]) -> tuple[Column, ...]:
    shape = _Shape()
    for item in items:
        if not isinstance(item, dict):
            continue
        shape.rows += 1
        for name, value in item.items():
            shape.counts[name] = shape.counts.get(name, 0) + 1
            if value is None:
                shape.null.add(name)
            elif not isinstance(value, str):
                shape.json.add(name)
        if len(shape.counts) > MOST_COLUMNS:
            raise LabError(f"The rows have more than {MOST_COLUMNS:,} columns in all; keep the data in fewer.")
    return shape.columns()


def _first_pass(
    items: Iterable[Item], columns: tuple[Column, ...] | None, draft: Path, drop_bad: bool, progress: Progress | None
) -> tuple[int, _Bad, list[dict[str, Any]], tuple[Column, ...]]:
    """Rows as text cells into the draft: how many, the bad ones, the first ones as they came, the columns."""
    bad, rows, size, characters = _Bad(), 0, 0, 0
    first: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    draw = _Draft(draft)
    try:
        for item in items:
            if isinstance(item, BadRow):
                bad.add(item)
                continue
            if isinstance(item, Note):
                bad.notes.append(item.text)
                continue
            columns = columns or tuple(Column(name) for name in item)
            long = sum(len(value) if isinstance(value, str) else 64 for value in item.values())
            if len(first) < GUESSED_FROM and characters < BLOCK_CHARACTERS:
                first.append(item)
                characters += long
            waiting.append(item)
            rows += 1
            size += long
            if len(waiting) == BLOCK or size > BLOCK_CHARACTERS:
                draw.write(waiting, columns)
                waiting, size = [], 0
                if progress:
                    progress(rows)
        if bad.count and not drop_bad:
            raise BadRows(tuple(bad.first), bad.count)
        if waiting and columns:
            draw.write(waiting, columns)
    finally:
        draw.close()
    return rows, bad, first, columns or ()


class _Draft:
    """The growing file of text cells."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Any = None

    def write(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({column.name: pa.array(_cells(rows, column), pa.string()) for column in columns})
        self._writer = self._writer or pq.ParquetWriter(self.path, table.schema, **PACKED)
        self._writer.write_table(table, row_group_size=len(rows))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _cells(rows: Sequence[Mapping[str, Any]], column: Column) -> list[str | None]:
    name = column.name
    if column.kind == "text":
        return [row.get(name) for row in rows]
    return [json.dumps(row[name], ensure_ascii=False) if name in row else None for row in rows]


def _second_pass(
    draft: Path,
    folder: Path,
    plan: SplitPlan,
    rows: int,
    columns: tuple[Column, ...],
    roles: dict[str, tuple[str, ...]],
    bad: _Bad,
) -> Written:
    """The draft with its splits, under the hash of all of it."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(draft)
    schema = table.schema_arrow.append(pa.field(SPLIT, pa.string()))
    marks = marks_of(table, plan, rows)
    digest = hashlib.sha256(
        json.dumps([[asdict(item) for item in columns], sorted(roles.items())], ensure_ascii=False).encode()
    )
    new, start = draft.with_suffix(".new"), 0
    with new.open("wb") as stream:
        with pq.ParquetWriter(stream, schema, **PACKED) as out:
            for group in range(table.num_row_groups):
                part = table.read_row_group(group)
                codes = marks[start : start + len(part)]
                start += len(part)
                _add_to(digest, part)
                digest.update(codes.tobytes())
                column = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(SPLITS)).cast(pa.string())
                out.write_table(part.append_column(SPLIT, column).cast(schema), row_group_size=len(part))
        stream.flush()
        os.fsync(stream.fileno())
    name = digest.hexdigest()
    path = folder / f"{name}.parquet"
    os.replace(new, path)
    _settle(folder)
    counts = np.bincount(marks, minlength=len(SPLITS))
    splits = {split: int(count) for split, count in zip(SPLITS, counts, strict=True) if count}
    return Written(path, name, rows, columns, roles, splits, tuple(bad.first), bad.count, tuple(bad.notes), plan)


def _add_to(digest: Any, part: Any) -> None:
    """The cells of a block: for each column the lengths (-1 where there is none) and then all characters."""
    import pyarrow.compute as pc

    for column in part.columns:
        cells = column.combine_chunks()
        lengths = pc.fill_null(pc.binary_length(cells), -1)
        digest.update(lengths.to_numpy(zero_copy_only=False).astype("<i4").tobytes())
        digest.update("".join(cell for cell in cells.to_pylist() if cell is not None).encode())


def _settle(folder: Path) -> None:
    """The folder's own entry reaches the disk, so that the name outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
