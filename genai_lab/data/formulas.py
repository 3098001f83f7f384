"""Cells that a spreadsheet would take for a formula, guarded by an apostrophe in exports and freed of it on import."""

import re

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
GUARD = "'"


def guard(cell: object) -> object:
    """The cell, made so that no spreadsheet takes it for a formula; numbers stay, and `release` gives it back."""
    if not isinstance(cell, str) or not cell.lstrip(GUARD).startswith(FORMULA_STARTS) or NUMBER.fullmatch(cell):
        return cell
    return GUARD + cell


def release(cell: str) -> str:
    """A cell of a CSV file without the apostrophe that `guard` has put before it."""
    return cell[1:] if cell.startswith(GUARD) and cell.lstrip(GUARD).startswith(FORMULA_STARTS) else cell
