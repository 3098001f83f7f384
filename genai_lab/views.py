"""One serialisation for everything that services return: `as_dict()`, which is also what `--json` prints."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from html import escape
from pathlib import Path
from typing import Any, ClassVar


class View:
    """Base class of the dataclasses that services return.

    `_hidden` names fields that `as_dict()` leaves out (what cannot be written as JSON, or repeats much);
    `_computed` names properties that it adds.
    """

    _hidden: ClassVar[tuple[str, ...]] = ()
    _computed: ClassVar[tuple[str, ...]] = ()

    def as_dict(self) -> dict[str, Any]:
        """Fields by name, as JSON knows them: dictionaries, lists, texts, numbers, booleans and None."""
        names = [item.name for item in fields(self) if item.name not in self._hidden]  # type: ignore[arg-type]
        return {name: to_plain(getattr(self, name)) for name in (*names, *self._computed)}

    def _repr_html_(self) -> str:
        return html_table([{"": name, type(self).__name__: value} for name, value in self.as_dict().items()])


def page_url(address: str) -> str:
    """The address of a page: under GENAI_LAB_URL where that names a running lab, else from the lab's root."""
    return os.environ.get("GENAI_LAB_URL", "").rstrip("/") + address


class Linked:
    """Base class of views that have a page: `address` is its place within the lab."""

    @property
    def address(self) -> str:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The address of its page: under GENAI_LAB_URL where that names a running lab, else from the lab's root."""
        return page_url(self.address)


def to_plain(value: Any) -> Any:
    """The value in JSON's types; what JSON cannot say (NaN, infinity) becomes None."""
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, type):
        return value.__name__
    if callable(as_dict := getattr(value, "as_dict", None)):
        return to_plain(as_dict())
    if is_dataclass(value):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return to_plain(value.value)
    if isinstance(value, Path):
        return str(value)
    return _container(value)


def _container(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): to_plain(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return to_plain(value._asdict())
    if isinstance(value, set | frozenset):
        return sorted(map(to_plain, value), key=str)
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    return list(map(to_plain, value)) if isinstance(value, Iterable) else str(value)


def _key(key: Any) -> str:
    """The key of a mapping as text: a tuple's parts are joined by a slash."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)


def html_table(rows: Iterable[Mapping[str, Any]], limit: int = 60) -> str:
    """Rows as an HTML table, for notebooks; long cells are cut."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    lines = ["".join(f"<td>{escape(cell_text(row.get(name)))}</td>" for name in columns) for row in rows[:limit]]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    note = f"<p>{len(rows) - limit:,} more rows</p>" if len(rows) > limit else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def text_table(rows: Iterable[Mapping[str, Any]], limit: int = 60) -> str:
    """Rows as aligned text, numbers to the right."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in columns]
    cells = [columns, *([cell_text(row.get(name), 48) for name in columns] for row in rows[:limit])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    align = [str.rjust if is_number else str.ljust for is_number in numeric]
    lines = ["  ".join(map(_aligned, line, widths, align)).rstrip() for line in cells]
    if len(rows) > limit:
        lines.append(f"... {len(rows) - limit:,} more rows")
    return "\n".join(lines)


def _aligned(text: str, width: int, align: Callable[[str, int], str]) -> str:
    return align(text, width)


def cell_text(value: Any, width: int = 120) -> str:
    """A cell of a table: short, on one line."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 1] + "…"
