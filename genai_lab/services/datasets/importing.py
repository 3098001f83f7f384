"""Importing: from an order (where the rows come from, their roles and splits) to an immutable version.

`written` makes the file and changes no database, so that it can run in a worker; `adopt` makes the row, in the
transaction of whoever calls it. Between the two nothing is there but a file that no row names.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.data import SPLIT, BadRow, SplitPlan, guarded, hub, readers, tables
from genai_lab.data.guessing import Roles, check_roles, guess
from genai_lab.data.hub import HubDataset
from genai_lab.data.sniffing import SEPARATORS, FileOptions
from genai_lab.data.splits import split_column
from genai_lab.errors import LabError
from genai_lab.files import atomic_write
from genai_lab.provenance import Provenance, provenance
from genai_lab.services import runs
from genai_lab.services.datasets.checking import Mapped, empty_columns, first_rows, with_turns
from genai_lab.services.datasets.views import VersionView, file_of, folder, restore_row, view_of
from genai_lab.views import View
from storage import datasets as queries
from storage.tables import DatasetVersion, Run, RunInput

STARTER_ROWS = {"train": 2000, "validation": 300, "test": 300}
AT_ONCE = 8_000_000
PREVIEWED = 20
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Order(View):
    """An import to be made. `source` tells the kind (file, paste, hub, starter, rows) and what that kind needs;
    `file` is where an uploaded file lies; without a `mapping` roles are guessed.
    """

    name: str
    source: dict[str, Any]
    split: SplitPlan
    mapping: dict[str, list[str]] | None = None
    file: str = ""
    drop_bad: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Order":
        split = dict(fields["split"])
        return cls(**{**fields, "split": SplitPlan(**{**split, "ratios": tuple(split["ratios"])})})


class ImportPreview(NamedTuple):
    """The first rows, the bad ones among them, a guess at the roles, notes on how the file was read, and the column
    that names each row's split ("" for none).
    """

    rows: list[dict[str, Any]]
    bad: list[BadRow]
    roles: Roles
    notes: list[str]
    split: str = ""

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))


def file_order(
    path: Path,
    name: str,
    *,
    filename: str = "",
    kind: str = "file",
    mapping: Mapped | None = None,
    split: SplitPlan | None = None,
    drop_bad: bool = False,
    options: FileOptions | None = None,
) -> Order:
    """An order for a file of this machine; raises LabError where its format or the dataset's name cannot be used."""
    filename = filename or path.name
    readers.kind_of(filename)
    source: dict[str, Any] = {"kind": kind, "name": filename, "sha256": file_hash(path)}
    if options is not None and options != FileOptions():
        source["options"] = asdict(options)
    return Order(name_from_file(name), source, split or SplitPlan(), _plain(mapping), str(path), drop_bad)


def hub_order(
    dataset: HubDataset,
    name: str,
    *,
    mapping: Mapped | None = None,
    split: SplitPlan | None = None,
    drop_bad: bool = False,
) -> Order:
    source = {"kind": "hub", **asdict(dataset)}
    return Order(name_from_file(name), source, split or SplitPlan(), _plain(mapping), drop_bad=drop_bad)


def starter_order(task: str, name: str = "", *, seed: int = 1, rows: Mapping[str, int] | None = None) -> Order:
    """Examples of a task of the starter world, or its "rude-requests", drawn for each split with the seed; held-out
    names stay held out.
    """
    from genai_lab.starter.requests import RUDE_REQUESTS
    from genai_lab.starter.tasks import TASKS

    roles = {"input": ["input"], "reference": ["reference"]}
    if task == RUDE_REQUESTS:
        roles = {"input": ["input"]}
    else:
        TASKS.get(task)
    if task == "sentiment":
        roles["label"] = ["sentiment"]
    source = {"kind": "starter", "task": task, "seed": seed, "rows": dict(rows or STARTER_ROWS)}
    return Order(name_from_file(name or task), source, SplitPlan(by="column", column="split"), roles)


def split_order(view: VersionView, split: SplitPlan) -> Order:
    """An order for the same rows in other splits, as a new version of the same dataset."""
    source = {"kind": "split", "version": view.id, "of": view.name, "split": asdict(split)}
    return Order(view.dataset, source, split, _plain(view.roles))


def make(lab: LabContext, order: Order, progress: Progress | None = None) -> VersionView:
    """Carries the order out here and now; raises LabError, and BadRows where rows cannot be read."""
    record = write_version(lab, order, progress, guard=not long(order))
    with lab.database.session() as session:
        row, again = adopt(session, record)
    bad = tuple(BadRow(**bad_row) for bad_row in record["left_out"])
    return view_of(row, again=again, left_out=bad, left_out_count=record["left_out_count"])


def import_rows(
    lab: LabContext,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    source: dict[str, Any],
    *,
    mapping: Mapped | None = None,
    split: SplitPlan | None = None,
    inputs: Sequence[RunInput] = (),
) -> VersionView:
    """A version from rows in memory; `inputs` are what its run read, added in the same transaction."""
    record = written_rows(lab, rows, Order(name_from_file(name), source, split or SplitPlan(), _plain(mapping)))
    with lab.database.session() as session:
        row, again = adopt(session, record, inputs)
    return view_of(row, again=again)


def write_version(
    lab: LabContext, order: Order, progress: Progress | None = None, *, guard: bool = False
) -> dict[str, Any]:
    """The version's file, and everything that its row will hold, as JSON; with `guard` the file is read in a process
    of little memory and time.
    """
    if order.source["kind"] == "split":
        return _written(lab, order, partial(_rows_of_version, lab, order.source["version"]), False, progress)
    items, text_only = _items(order, guard)
    return _written(lab, order, items, text_only, progress)


def written_rows(lab: LabContext, rows: Sequence[Mapping[str, Any]], order: Order) -> dict[str, Any]:
    """As `written`, of rows in memory."""
    return _written(lab, order, lambda: [readers.plain_row(dict(row), n) for n, row in enumerate(rows, 1)], False, None)


def adopt(session: Session, record: Mapping[str, Any], inputs: Sequence[RunInput] = ()) -> tuple[DatasetVersion, bool]:
    """The row of what was written, and whether it existed already; an archived dataset comes back.

    `inputs` are what its run read; a version whose run has none is given them too.
    """
    row = queries.version_by_hash(session, record["version"]["content_hash"])
    if row is not None:
        row.dataset.archived_at = None
        made_by = session.get(Run, row.made_by_run_id)
        if made_by is not None and not made_by.inputs:
            made_by.inputs.extend(inputs)
        return row, True
    source = record["version"]["source"]
    read = [RunInput(role="dataset", dataset_version_id=source["version"])] if source.get("kind") == "split" else []
    run = _begin_run(session, [*read, *inputs], record["run"])
    return queries.add_version(session, record["name"], made_by_run_id=run.id, **record["version"]), False


def long(order: Order) -> bool:
    """Whether it should be a job: it comes from elsewhere, or is large."""
    return order.source["kind"] == "hub" or bool(order.file and Path(order.file).stat().st_size > AT_ONCE)


def preview(
    path: Path, filename: str = "", limit: int = PREVIEWED, options: FileOptions | None = None
) -> ImportPreview:
    """What a file holds, read no further than needed; raises LabError where the whole file cannot be read, and
    NeedsChoice where it can after a word.
    """
    return _preview(guarded.read(path, filename, options), limit)


def preview_hub(dataset: HubDataset, limit: int = PREVIEWED) -> ImportPreview:
    return _preview(guarded.read_hub(dataset), limit)


def preview_starter(task: str, limit: int = PREVIEWED) -> ImportPreview:
    order = starter_order(task, rows={"train": limit})
    preview = _preview(_items(order)[0](), limit)
    return preview._replace(roles={role: tuple(names) for role, names in (order.mapping or {}).items()})


def versions_of_file(lab: LabContext, path: Path) -> tuple[str, ...]:
    """The versions that were made of a file of these very bytes, newest first."""
    sha256 = file_hash(path)
    with lab.database.reading() as session:
        return tuple(f"{row.dataset.name}@{row.number}" for row in queries.versions_by_source(session, sha256))


def save_pasted_text(lab: LabContext, text: str) -> Path:
    """The pasted text as a file whose name tells its format."""
    if not text.strip():
        raise LabError("Nothing is pasted; paste rows as CSV, TSV, JSON or JSON Lines.")
    first = text.lstrip().partition("\n")[0]
    if first.startswith("["):
        suffix = ".json"
    elif first.startswith("{"):
        suffix = ".jsonl" if first.rstrip().endswith("}") else ".json"
    else:
        suffix = ".tsv" if "\t" in first else ".csv" if any(separator in first for separator in SEPARATORS) else ".txt"
    try:
        data = text.encode()
    except UnicodeEncodeError as problem:
        raise LabError(f"The text holds half a character (a lone surrogate) at place {problem.start:,}.") from None
    path = incoming(lab) / f"pasted-{hashlib.sha256(data).hexdigest()[:16]}{suffix}"
    with atomic_write(path) as draft:
        draft.write_bytes(data)
    return path


def file_hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as problem:
        raise LabError(f"The file {path.name} cannot be read ({problem.strerror}).") from None


def name_from_file(name: str) -> str:
    name = (name or "").strip()
    if not name or len(name) > 80 or not all(letter.isalnum() or letter in " ._-:" for letter in name):
        rule = "a name of up to 80 letters, digits, spaces and . _ - : without @"
        raise LabError(f"{name[:100]!r} cannot name a dataset; use {rule}.")
    return name


def _preview(items: Iterable[readers.Item], limit: int) -> ImportPreview:
    rows, bad, notes = first_rows(items, max(limit, tables.GUESSED_FROM))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return ImportPreview(rows[:limit], bad, guess(columns, rows), notes, split_column(columns, rows))


def _items(order: Order, guard: bool = False) -> tuple[Callable[[], Iterable[readers.Item]], bool]:
    """The rows, again at every call, and whether all cells are text from the start."""
    source, read = order.source, guarded.read if guard else readers.read
    if source["kind"] == "starter":
        return cache(partial(_drawn, source)), False
    if source["kind"] == "hub":
        dataset = HubDataset(**{name: source[name] for name in ("repo", "configuration", "split", "revision")})
        return lambda: hub.rows(dataset), False
    path, filename = Path(order.file), source["name"]
    if not path.is_file():
        raise LabError(f"The file {filename} is gone; upload it again.")
    options = FileOptions(**source.get("options", {}))
    return lambda: read(path, filename, options), readers.kind_of(filename)[0] in (".csv", ".tsv")


def _rows_of_version(lab: LabContext, version_id: int) -> Iterator[dict[str, Any]]:
    with lab.database.reading() as session:
        row = queries.version(session, version_id)
    if row is None:
        raise LabError("The dataset version that is to be split again is gone; choose another.")
    view = view_of(row)
    for block in tables.blocks(file_of(lab, view)):
        for cells in block:
            cells.pop(SPLIT)
            yield restore_row(view, cells)


def _drawn(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The starter task's rows; references are lists where any row has more than one."""
    from genai_lab.starter.requests import RUDE_REQUESTS, draw_rude_request
    from genai_lab.starter.tasks import TASKS

    draw = draw_rude_request if source["task"] == RUDE_REQUESTS else TASKS.get(source["task"]).draw
    examples = []
    for split, count in source["rows"].items():
        rng = random.Random(f"{source['task']} {split} {source['seed']}")
        examples += [(split, draw(rng, split)) for _ in range(count)]
    listed = any(len(example.references) > 1 for _, example in examples)
    return [
        {
            "input": example.source,
            "reference": list(example.references) if listed else example.references[0],
            **example.labels,
            "split": split,
            "prompt": example.prompt,
        }
        for split, example in examples
    ]


def _written(
    lab: LabContext,
    order: Order,
    items: Callable[[], Iterable[readers.Item]],
    text_only: bool,
    progress: Progress | None,
) -> dict[str, Any]:
    def roles(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Roles:
        return check_roles(order.mapping, columns) if order.mapping is not None else guess(columns, rows)

    table = tables.write(
        with_turns(items, order.mapping),
        folder(lab),
        order.split,
        roles=roles,
        text_only=text_only,
        drop_bad=order.drop_bad,
        progress=progress,
    )
    notes = [*table.notes, *empty_columns(table)]
    version = {
        "content_hash": table.content_hash,
        "source_hash": order.source.get("sha256"),
        "path": table.path.name,
        "rows": table.rows,
        "bytes": table.path.stat().st_size,
        "columns": [asdict(column) for column in table.columns],
        "roles": {role: list(names) for role, names in table.roles.items()},
        "splits": table.splits,
        "source": order.source | ({"notes": notes} if notes else {}),
    }
    left_out = [asdict(row) for row in table.left_out]
    return {
        "name": order.name,
        "version": version,
        "run": _run_fields(lab, order),
        "left_out": left_out,
        "left_out_count": table.left_out_count,
    }


def _run_fields(lab: LabContext, order: Order) -> dict[str, Any]:
    """What the import's run remembers, as JSON: the worker that has read the file is its origin."""
    settings = {name: value for name, value in order.as_dict().items() if name != "file"}
    return {
        "settings": settings, "seed": order.split.seed, "device": lab.config.device, "origin": asdict(provenance())
    }  # fmt: skip


def _begin_run(session: Session, inputs: Sequence[RunInput], fields: dict[str, Any]) -> Run:
    if "origin" not in fields:  # reported by the worker of an older version
        origin = Provenance(fields["code_revision"], fields["dirty"], fields["packages"])
    else:
        origin = Provenance(**fields["origin"])
    return runs.begin(
        session, "import", inputs, fields["settings"], fields["seed"], device=fields["device"], status="finished",
        origin=origin,
    )  # fmt: skip


def _plain(mapping: Mapped | None) -> dict[str, list[str]] | None:
    return None if mapping is None else {role: list(names) for role, names in mapping.items()}


def incoming(lab: LabContext) -> Path:
    """Where files wait that are not imported yet."""
    path = lab.config.home / "incoming"
    path.mkdir(exist_ok=True)
    return path
