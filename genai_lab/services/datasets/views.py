"""Dataset versions as they are shown, and where their rows lie."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import SPLIT, SPLITS, BadRow, Column, Example, conversations
from genai_lab.data.guessing import Roles
from genai_lab.data.readers import text_of
from genai_lab.errors import LabError
from genai_lab.views import View
from storage.tables import DatasetVersion


@dataclass(frozen=True)
class VersionView(View):
    """One version; `again` says that an import found it there already, `left_out` which rows were dropped."""

    _computed = ("name",)
    id: int
    dataset: str
    number: int
    content_hash: str
    path: str
    rows: int
    columns: tuple[Column, ...]
    roles: Roles
    splits: dict[str, int]
    bytes: int
    source: dict[str, Any]
    created_at: datetime
    made_by_run_id: int | None
    archived: bool
    profile: dict[str, Any] | None
    again: bool = False
    left_out: tuple[BadRow, ...] = field(default=())
    left_out_count: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """How its source was read, and what is empty."""
        return tuple(self.source.get("notes", ()))

    @property
    def name(self) -> str:
        return f"{self.dataset}@{self.number}"

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def view_of(row: DatasetVersion, **result: Any) -> VersionView:
    return VersionView(
        id=row.id,
        dataset=row.dataset.name,
        number=row.number,
        content_hash=row.content_hash,
        path=row.path,
        rows=row.rows,
        columns=tuple(Column(**fields) for fields in row.columns),
        roles={role: tuple(names) for role, names in row.roles.items()},
        splits={split: row.splits[split] for split in SPLITS if split in row.splits},
        bytes=row.bytes,
        source=row.source,
        created_at=row.created_at,
        made_by_run_id=row.made_by_run_id,
        archived=row.dataset.archived_at is not None,
        profile=row.profile,
        **result,
    )


def folder(lab: LabContext) -> Path:
    """Where all versions lie."""
    return lab.config.home / "datasets"


def file_of(lab: LabContext, view: VersionView) -> Path:
    path = folder(lab) / view.path
    if not path.is_file():
        raise LabError(f"The file of {view.name} is gone from the data home; import it again.")
    return path


def restore_row(view: VersionView, row: Mapping[str, Any]) -> dict[str, Any]:
    """Cells as they were in their source; columns that the row did not have are left out."""
    columns = {column.name: column for column in view.columns}
    cells = {}
    for name, cell in row.items():
        column = columns.get(name)
        if cell is None and column is not None and column.sparse:
            continue
        cells[name] = json.loads(cell) if column is not None and column.kind == "json" and cell is not None else cell
    return cells


def example_of(view: VersionView, key: int, row: Mapping[str, Any]) -> Example:
    """Raises LabError, naming the row, where it is to be a conversation and cannot be read as one."""
    cells = restore_row(view, row)
    texts = {name: _shown(cells.get(name)) for name in view.column_names}
    references: list[str] = []
    for name in view.roles.get("reference", ()):
        value = cells.get(name)
        if isinstance(value, list) and conversations.read_cell(value) is None:
            references += [text_of(item) for item in value]
        else:
            references.append(texts[name])
    label = texts[view.roles["label"][0]] if "label" in view.roles else None
    question = texts[view.roles["input"][0]] if "input" in view.roles else ""
    messages: conversations.Messages = ()
    try:
        talk = _conversation(view, cells)
    except conversations.Unreadable as problem:
        raise LabError(f"Row {key + 1:,} of {view.name} cannot be read: {problem}.") from None
    if talk is not None:
        messages = talk.prompt
        question = conversations.write_text(conversations.split_system(messages)[1])
        if not references and talk.answer is not None:
            references = [talk.answer]
    return Example(key, texts, tuple(references), label, str(row[SPLIT]), question, messages, cells)


def _conversation(view: VersionView, cells: Mapping[str, Any]) -> conversations.Exchange | None:
    """What a row says in turns: in its column of messages, or before its input; None where it has no turns.

    Where chosen and rejected answers stand beside the messages, all of these are the prompt.
    """
    system = next((name for name in column_of(view, "system") if cells.get(name)), None)
    if "input" in view.roles:
        columns = view.roles["input"]
        talks = any(conversations.read_cell(cells.get(name)) for name in columns)
        if not talks and not system and not cells.get(conversations.HISTORY):
            return None
        return conversations.Exchange(conversations.read_prompt(cells, columns, system), None)
    if "messages" not in view.roles:
        return None
    turns = conversations.read_turns(cells.get(view.roles["messages"][0]), "user")
    messages = conversations.with_system(turns, cells.get(system) if system else None)
    return conversations.Exchange(messages, None) if "chosen" in view.roles else conversations.read_exchange(messages)


def column_of(view: VersionView, role: str) -> tuple[str, ...]:
    """The columns of a role, or those that are called so where no column has the role and they have no other."""
    if view.roles.get(role):
        return view.roles[role]
    named = {"input": ("prompt",), "system": conversations.SYSTEM_COLUMNS}.get(role, (role,))
    used = {name for names in view.roles.values() for name in names}
    return tuple(name for name in named if name in view.column_names and name not in used)


def _shown(value: Any) -> str:
    """A cell as text to read: a conversation turn by turn, other lists and objects as JSON."""
    try:
        text = conversations.readable(value) if isinstance(value, list | dict) else None
    except conversations.Unreadable:
        text = None
    return text_of(value) if text is None else text
