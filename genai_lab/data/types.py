"""What tables of examples are made of: rows, columns, roles, splits.

A cell is text. What was not text in its source (a number, a list) is kept as JSON, and its column says so, so that an
export gives back what came in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genai_lab.data.conversations import Message
from genai_lab.errors import BadSetting, LabError

Role = Literal["input", "context", "reference", "label", "chosen", "rejected", "messages", "system", "metadata"]
ROLES: tuple[Role, ...] = (
    "input", "context", "reference", "label", "chosen", "rejected", "messages", "system", "metadata",
)  # fmt: skip
SPLITS = ("train", "validation", "test")
SPLIT = "_split"
Kind = Literal["text", "json"]


class BadRows(LabError):
    """Rows that cannot be read; `rows` holds the first of them, `count` says how many there are."""

    def __init__(self, rows: "tuple[BadRow, ...]", count: int) -> None:
        self.rows, self.count = rows, count
        others = f" and {count - 1:,} more" if count > 1 else ""
        super().__init__(f"{rows[0]}{others}; drop such rows, or fix the file.")


@dataclass(frozen=True)
class BadRow:
    """`number` counts rows from 1, without the header; `column` is None where the whole row is meant."""

    number: int
    column: str | None
    reason: str

    def __str__(self) -> str:
        where = f", column {self.column!r}" if self.column else ""
        return f"Row {self.number:,}{where}: {self.reason}"


@dataclass(frozen=True)
class Note:
    """How a file was read where that is worth a sentence: a separator that was found, cells read as null."""

    text: str


@dataclass(frozen=True)
class Column:
    """`kind` "json": the cells are JSON, not text. `sparse`: an empty cell means that the row has no such column."""

    name: str
    kind: Kind = "text"
    sparse: bool = False


@dataclass(frozen=True)
class Example:
    """One row of a dataset version. `key` is its number (from 0) in the version; `fields` are all cells as text.

    Where the row asks with a conversation or has a system text, `messages` are the turns before the answer; `input` is
    these as text without the system's, and `references` holds the answer unless another column does. `values` are the
    cells as they were in their source.
    """

    key: int
    fields: dict[str, str]
    references: tuple[str, ...] = ()
    label: str | None = None
    split: str = "train"
    input: str = ""
    messages: tuple[Message, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class SplitPlan:
    """How rows are told apart. `by` "ratio" draws them with the seed, "group" draws whole groups of `column`'s value,
    "column" takes the split's name from `column`, "none" puts all rows into the split `only`; "auto" is by the column
    that names splits where there is one, and otherwise by ratio, with pairs of one prompt together.

    `ratios` are the shares of train, validation and test.
    """

    by: Literal["auto", "ratio", "column", "group", "none"] = "none"
    ratios: tuple[float, float, float] = (0.8, 0.1, 0.1)
    column: str = ""
    seed: int = 0
    only: str = field(default="test", metadata={"choices": SPLITS})

    def __post_init__(self) -> None:
        if len(self.ratios) != 3 or min(self.ratios) < 0 or abs(sum(self.ratios) - 1) > 1e-6:
            raise BadSetting("ratios", self.ratios, "three shares that add up to 1, such as 0.8, 0.1, 0.1")
        if self.by in ("column", "group") and not self.column:
            raise LabError(f"A split by {self.by} needs the name of a column; choose one.")
        if self.only not in SPLITS:
            raise BadSetting("split", self.only, "train, validation or test")
