"""Versions of datasets: listed, shown, read row by row, split again, exported, archived."""

import json
import random
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import SPLIT, Example, SplitPlan, tables
from genai_lab.data.sniffing import FileOptions
from genai_lab.errors import LabError
from genai_lab.files import atomic_write
from genai_lab.services.datasets import importing
from genai_lab.services.datasets.importing import (
    ImportPreview,
    file_order,
    make,
    split_order,
    starter_order,
)
from genai_lab.services.datasets.views import VersionView, example_of, file_of, restore_row, text_of, view_of
from storage import datasets as queries

MOST_LABELS = 200
KEPT_SECONDS = 3600


def import_file(
    lab: LabContext,
    path: Path,
    name: str,
    *,
    filename: str = "",
    mapping: Mapping[str, Sequence[str]] | None = None,
    split: SplitPlan | None = None,
    drop_bad: bool = False,
    options: FileOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> VersionView:
    """A new version of the dataset `name` from a file; the version that stands where one holds the same.

    `mapping` gives columns to roles; without it they are guessed. Raises LabError, and BadRows where rows cannot be
    read and `drop_bad` is not set; then nothing is kept.
    """
    order = file_order(path, name, filename=filename, mapping=mapping, split=split, drop_bad=drop_bad, options=options)
    return make(lab, order, progress)


def import_starter(
    lab: LabContext, task: str, name: str = "", *, seed: int = 1, rows: Mapping[str, int] | None = None
) -> VersionView:
    """Examples of a task of the starter world, in the splits that its models were trained and tested on."""
    return make(lab, starter_order(task, name, seed=seed, rows=rows))


def preview(
    path: Path, filename: str = "", limit: int = importing.PREVIEWED, options: FileOptions | None = None
) -> ImportPreview:
    """The first rows of a file, the bad ones among them, and a guess at the roles; raises LabError, and NeedsChoice
    where it can be read after a word.
    """
    return importing.preview(path, filename, limit, options)


def split_again(lab: LabContext, which: str | int, split: SplitPlan) -> VersionView:
    """The same rows in other splits, as a new version; the version that stands where one is the same."""
    return make(lab, split_order(show(lab, which), split))


def show(lab: LabContext, which: str | int) -> VersionView:
    """A version by its id, or by name: "support" is the newest, "support@2" the second. Raises LabError."""
    with lab.database.reading() as session:
        if isinstance(which, int):
            row = queries.version(session, which)
        else:
            name, _, number = which.strip().partition("@")
            if number and not (number.isdecimal() and len(number) < 10):
                raise LabError(f"{which!r} names no version; write NAME@2 for the second.")
            row = queries.version_by_name(session, name, int(number) if number else None)
        names = queries.names(session) if row is None else []
    if row is None:
        raise LabError(f"There is no dataset {which!r}. Known: {', '.join(names) or 'none yet; import one'}.")
    return view_of(row)


def find(
    lab: LabContext, search: str = "", limit: int = 50, offset: int = 0, archived: bool = False, newest: bool = False
) -> tuple[list[VersionView], int]:
    """Versions, newest first, and how many there are; with `newest` only the last of each dataset."""
    with lab.database.reading() as session:
        rows, total = queries.find_versions(session, search, archived, limit, offset, newest)
    return [view_of(row) for row in rows], total


def versions(lab: LabContext, dataset: str) -> list[VersionView]:
    """Every version of one dataset, newest first."""
    with lab.database.reading() as session:
        return [view_of(row) for row in queries.versions_of(session, dataset)]


def page(lab: LabContext, version_id: int, offset: int, limit: int, split: str | None = None) -> list[dict[str, Any]]:
    """Rows as they were in their source, each with "_row" (from 1) and its split."""
    view = show(lab, version_id)
    path = file_of(lab, view)
    if split is None:
        keys: Sequence[int] = range(min(offset, view.rows), min(offset + limit, view.rows))
    else:
        keys = tables.keys_of(path, split, offset, limit)
    rows = tables.read_rows(path, keys)
    return [{"_row": key + 1, **restore_row(view, row)} for key, row in zip(keys, rows, strict=True)]


def pick(lab: LabContext, version_id: int, keys: Sequence[int]) -> list[Example]:
    """The examples of these row numbers (from 0), in the order asked."""
    view = show(lab, version_id)
    outside = [key for key in keys if not 0 <= key < view.rows]
    if outside:
        raise LabError(f"{view.name} has {view.rows:,} rows, so there is no row {outside[0] + 1:,}.")
    rows = tables.read_rows(file_of(lab, view), keys)
    return [example_of(view, key, row) for key, row in zip(keys, rows, strict=True)]


def examples(
    lab: LabContext, version_id: int, *, split: str | None = None, count: int | None = None, seed: int = 0
) -> list[Example]:
    """A split's examples in row order; with `count`, that many drawn without replacement with the seed."""
    view = show(lab, version_id)
    if split is not None and split not in view.splits:
        counts = ", ".join(f"{name} ({rows:,})" for name, rows in view.splits.items())
        raise LabError(f"{view.name} has no rows for {split}. It has: {counts}.")
    keys = tables.keys_of(file_of(lab, view), split)
    if count is not None and count < len(keys):
        keys = sorted(random.Random(f"rows {seed}").sample(keys, count))
    return pick(lab, version_id, keys)


def labels(lab: LabContext, version_id: int) -> tuple[str, ...]:
    """All labels of the version in order, at most MOST_LABELS; none where no column is a label."""
    import pyarrow.compute as pc

    view = show(lab, version_id)
    name = next(iter(view.roles.get("label", ())), None)
    if name is None:
        return ()
    cells: set[str] = set()
    for block in tables.arrow_blocks(file_of(lab, view), [name]):
        cells |= {cell for cell in pc.unique(block[name]).to_pylist() if cell}
        if len(cells) > MOST_LABELS:
            return ()
    return tuple(sorted({text_of(restore_row(view, {name: cell})[name]) for cell in cells} - {""}))


def export(lab: LabContext, version_id: int, path: Path, form: str, split: str | None = None) -> int:
    """Writes all rows, or a split's, to a file: "jsonl" (lossless) or "csv" (safe from formulas); returns how many.

    A version with several splits tells each row's in the column SPLIT; one with a single split is as it came.
    The file is there as a whole or not at all.
    """
    if form not in ("jsonl", "csv"):
        raise LabError(f"There is no export format {form!r}. Known: csv, jsonl.")
    view = show(lab, version_id)
    with atomic_write(path) as draft:
        return _exported(lab, view, draft, form, split)


def export_file(lab: LabContext, version_id: int, form: str, split: str | None = None) -> Path:
    """An export where the pages may hand it out; those of the last hour stay, older ones go."""
    view, root = show(lab, version_id), lab.config.uploads / "exports"
    for old in root.glob("*"):
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    folder = root / uuid.uuid4().hex
    folder.mkdir(parents=True)
    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in view.name)
    path = folder / f"{name}{f'-{split}' if split else ''}.{form}"
    export(lab, version_id, path, form, split)
    return path


def _exported(lab: LabContext, view: VersionView, path: Path, form: str, split: str | None) -> int:
    import csv

    from genai_lab.services.history import harmless

    names, count = [*view.column_names, *([SPLIT] if len(view.splits) > 1 else [])], 0
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        if form == "csv":
            writer.writerow([harmless(name) for name in names])
        for block in tables.blocks(file_of(lab, view)):
            for row in block:
                if split is not None and row[SPLIT] != split:
                    continue
                count += 1
                cells = restore_row(view, {name: row[name] for name in names})
                if form == "jsonl":
                    stream.write(json.dumps(cells, ensure_ascii=False) + "\n")
                else:
                    writer.writerow([harmless(text_of(cells.get(name))) for name in names])
    return count


def archive(lab: LabContext, name: str, archived: bool = True) -> None:
    """Puts a dataset with all its versions away, or brings it back; nothing is lost."""
    with lab.database.session() as session:
        row = queries.dataset(session, name)
        if row is None:
            raise LabError(f"There is no dataset {name!r}. Known: {', '.join(queries.names(session)) or 'none yet'}.")
        row.archived_at = datetime.now(UTC) if archived else None
