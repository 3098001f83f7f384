"""One dataset of a plan as objectives see it, without the database behind it."""

from collections.abc import Mapping
from typing import Protocol

from genai_lab.data import Example
from genai_lab.data.conversations import SYSTEM_COLUMNS
from genai_lab.prompts import Template

MOST_ROWS = 100_000


class RowSource(Protocol):
    """A version of a dataset and the templates that the plan chooses for it."""

    @property
    def name(self) -> str: ...

    @property
    def splits(self) -> Mapping[str, int]:
        """Numbers of rows by split."""

    @property
    def roles(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def column_names(self) -> tuple[str, ...]: ...

    @property
    def templates(self) -> tuple[Template, ...]: ...

    def examples(self, split: str | None, count: int, seed: int = 0) -> list[Example]:
        """Rows in their order; where the split has more, `count` drawn with the seed."""

    def labels(self) -> tuple[str, ...]:
        """All labels in order, at most some hundred; none where no column is a label."""


def columns_for(source: RowSource, role: str) -> tuple[str, ...]:
    """The columns with the role, or those named like it where no column has the role and they have no other."""
    if source.roles.get(role):
        return source.roles[role]
    names = {"input": ("prompt",), "system": SYSTEM_COLUMNS}.get(role, (role,))
    used = {name for columns in source.roles.values() for name in columns}
    return tuple(name for name in names if name in source.column_names and name not in used)
