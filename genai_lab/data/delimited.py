"""Tables as text: cells between separators, a record a line."""

import csv
import itertools
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from genai_lab.data import BadRow, Note
from genai_lab.data.formulas import GUARD, release
from genai_lab.data.header import checked_names, with_names
from genai_lab.data.sniffing import NAMES as SEPARATOR_NAMES
from genai_lab.data.sniffing import FileOptions, NeedsChoice, layout_of
from genai_lab.errors import LabError

LONGEST_CELL = 10_000_000
Row = dict[str, Any] | BadRow | Note


def lines_of(stream: IO[str]) -> Iterator[str]:
    """Lines in pieces of at most LONGEST_CELL + 1 characters, so that no line fills the memory."""
    return iter(partial(stream.readline, LONGEST_CELL + 1), "")


def delimited_rows(stream: IO[str], default: str, options: FileOptions) -> Iterator[Row]:
    """The rows of CSV or TSV, with notes on how the file was read; `default` is its usual separator."""
    csv.field_size_limit(LONGEST_CELL)
    layout = layout_of(stream, default, options)
    lines = csv.reader(
        lines_of(stream),
        delimiter=layout.separator,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
    )
    try:
        first = next(lines, None)
    except csv.Error as problem:
        raise LabError(f"The header cannot be read ({problem}); look for an open quotation mark.") from None
    if first and not layout.header:
        names = [f"column {number}" for number in range(1, len(first) + 1)]
        yield Note(f"The first line names no columns but is a row; they are called {', '.join(names)}.")
        yield from _records(names, itertools.chain([first], lines), lines)
        return
    names = checked_names(with_names([release(name) for name in first or ()]))
    if layout.separator != default and not options.separator:
        yield Note(f"The cells are separated by {SEPARATOR_NAMES.get(layout.separator, repr(layout.separator))}.")
    if unnamed := [name for name, old in zip(names, first or (), strict=True) if not old.strip()]:
        yield Note(f"The header gives no name to {', '.join(unnamed)}.")
    if len(names) == 1 and not options.as_is:
        raise NeedsChoice(
            f"The file would become one column, called {names[0][:80]!r}; is it to be read so? "
            "A table has commas, semicolons, tabs or vertical bars between its cells.",
            "as_is",
            True,
            "Import as one column",
        )
    yield from _records(names, lines, lines)


def _records(names: list[str], records: Iterator[list[str]], reader: Any) -> Iterator[Row]:
    """Each record as a row of these columns; `reader` is the csv reader that counts the lines."""
    number = guarded = 0
    while True:
        number += 1
        try:
            cells = next(records, None)
        except csv.Error as problem:
            yield BadRow(number, None, f"it cannot be read ({problem}), near line {reader.line_num:,}")
            if "unexpected end" in str(problem):
                return
            continue
        if cells is None:
            if guarded:
                cells_begin = "1 cell begins" if guarded == 1 else f"{guarded:,} cells begin"
                yield Note(f"{cells_begin} with an apostrophe that guards a formula; it is taken off.")
            return
        if not cells:
            number -= 1
        elif len(cells) < len(names):
            missing = names[len(cells)]
            yield BadRow(number, missing, f"the cell is missing; the row has {len(cells)} of {len(names)} cells")
        elif len(cells) > len(names):
            yield BadRow(number, None, f"it has {len(cells)} cells, but the header names {len(names)} columns")
        else:
            freed = [release(cell) if cell.startswith(GUARD) else cell for cell in cells]
            guarded += sum(old != new for old, new in zip(cells, freed, strict=True))
            yield dict(zip(names, freed, strict=True))
