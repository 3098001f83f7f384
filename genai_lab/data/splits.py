"""Which row goes to which split: by shares, by groups, by a column, or all to one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genai_lab.data import SPLITS, SplitPlan
from genai_lab.errors import LabError

NAMED = ("split", "exported_split", "set", "fold", "part", "subset")
GUESSED_FROM = 200


def chosen_plan(
    plan: SplitPlan, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], roles: Mapping[str, Sequence[str]]
) -> SplitPlan:
    """What "auto" comes to: the column that names splits in the first rows; else shares, with pairs by prompt."""
    if plan.by != "auto":
        return plan
    if column := split_column(columns, rows):
        return replace(plan, by="column", column=column)
    if "chosen" in roles and roles.get("input"):
        return replace(plan, by="group", column=roles["input"][0])
    return replace(plan, by="ratio")


def split_column(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The column whose name and cells tell the split of each row; empty where there is none."""
    for name in columns:
        cells = [row.get(name) for row in rows]
        if (
            name.lower() in NAMED
            and cells
            and all(isinstance(cell, str) and _split_of(cell) is not None for cell in cells)
        ):
            return name
    return ""


def marks_of(table: Any, plan: SplitPlan, rows: int) -> Any:
    """The split of every row, as its place in SPLITS: int8 (rows,)."""
    import numpy as np

    if plan.by == "none":
        return np.full(rows, SPLITS.index(plan.only), dtype=np.int8)
    if plan.by == "ratio":
        return _shares(rows, plan)
    if plan.column not in table.schema_arrow.names:
        raise LabError(f"There is no column {plan.column!r} to split by; choose one of the table's.")
    groups: dict[str, int] = {}
    codes = np.empty(rows, dtype=np.int64)
    index = 0
    for group in range(table.num_row_groups):
        for value in table.read_row_group(group, columns=[plan.column])[plan.column].to_pylist():
            codes[index] = groups.setdefault(value or "", len(groups))
            index += 1
    if plan.by == "column":
        named = [_split_of(value) for value in groups]
        if None in named:
            wrong = named.index(None)
            where = f"Row {int((codes == wrong).argmax()) + 1:,}, column {plan.column!r}"
            raise LabError(f"{where}: {list(groups)[wrong][:60]!r} is not a split; use train, validation or test.")
        return np.array(named, dtype=np.int8)[codes]
    ordered = {value: rank for rank, value in enumerate(sorted(groups))}
    return _shares(len(groups), plan)[np.array([ordered[value] for value in groups])][codes]


def _split_of(value: str) -> int | None:
    split_names = {
        "val": "validation",
        "valid": "validation",
        "dev": "validation",
        "eval": "validation",
        "training": "train",
    }
    word = value.strip().strip('"').lower()
    word = split_names.get(word, word)
    return SPLITS.index(word) if word in SPLITS else None


def _shares(count: int, plan: SplitPlan) -> Any:
    """Splits in the plan's shares, as even as whole numbers allow, in an order drawn with its seed: int8 (count,)."""
    import numpy as np

    ends = [round(count * sum(plan.ratios[: index + 1])) for index in range(3)]
    sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    for index in (0, 2, 1):
        # A few rows leave no split without any that is to have a share, as far as they go.
        if plan.ratios[index] and not sizes[index] and max(sizes) > 1:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[index] = 1
    ends = [sum(sizes[: index + 1]) for index in range(3)]
    marks = np.searchsorted(ends, np.arange(count), side="right").clip(max=2).astype(np.int8)
    np.random.default_rng([plan.seed % 2**32, 7]).shuffle(marks)
    return marks
