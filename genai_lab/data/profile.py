"""What a table holds: empty cells, lengths, labels, rows that occur twice, rows that two splits share."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from genai_lab.data import SPLIT, SPLITS

BINS = 40
SHOWN_LABELS = 50
MOST_LABELS = 2_000
OTHERS = "(others)"
SHOWN_ROWS = 5
SAMPLED = 20_000
SAMPLED_CHARACTERS = 4_000_000
Count = Callable[[Sequence[str]], list[int]]
Block = Sequence[Mapping[str, str]]


def profile(blocks: Iterable[Block], columns: Sequence[str], roles: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Of all rows, given as text cells with their split; JSON. Memory: 17 bytes a row and the table of labels.

    Rows are duplicates where all their cells are equal; two splits overlap in the rows that ask the same: equal input
    (all cells without that role) apart from case and blanks.
    """
    label = next(iter(roles.get("label", ())), None)
    question_columns = [name for role in ("input", "messages") for name in roles.get(role, ())] or list(columns)
    statistics = {name: _Column() for name in columns}
    row_hashes, keys, splits = [], [], []
    labels: dict[str, Counter[str]] = {}
    for block in blocks:
        for name, column in statistics.items():
            column.add([row[name] for row in block])
        row_hashes.append(_hashes("\x1f".join(row[name] for name in columns) for row in block))
        keys.append(
            _hashes("\x1f".join(" ".join(row[name].casefold().split()) for name in question_columns) for row in block)
        )
        splits.append([SPLITS.index(row[SPLIT]) for row in block])
        if label is not None:
            _count(labels, block, label)
    rows = sum(map(len, splits))
    return {
        "rows": rows,
        "columns": {name: column.as_dict() for name, column in statistics.items()},
        "duplicates": _duplicates(row_hashes),
        "overlap": _overlap(keys, splits),
        "asked": question_columns,
        "labels": _balance(labels) if label is not None else None,
        "label": label,
    }


def lengths(texts: Sequence[str], count: Count, of: int) -> dict[str, Any]:
    """A histogram of the texts' lengths in tokens; `of` is how many rows they were drawn from."""
    import numpy as np

    values = np.array(count(texts), dtype=np.int64)
    top = int(values.max(initial=0))
    width = max(1, math.ceil((top + 1) / BINS))
    counts = np.bincount(values // width, minlength=1)
    cuts = {f"p{q}": int(np.percentile(values, q)) for q in (50, 95, 99)} if len(values) else {}
    mean = float(values.mean()) if len(values) else 0.0
    return {"n": len(values), "of": of, "width": width, "counts": counts.tolist(), "mean": mean, "max": top, **cuts}


class _Column:
    """Empty cells and characters of one column."""

    def __init__(self) -> None:
        self.cells = self.empty = self.characters = self.longest = 0

    def add(self, cells: Sequence[str]) -> None:
        sizes = [len(cell) for cell in cells]
        self.cells += len(cells)
        self.empty += sum(1 for cell in cells if not cell.strip())
        self.characters += sum(sizes)
        self.longest = max(self.longest, max(sizes, default=0))

    def as_dict(self) -> dict[str, Any]:
        mean = self.characters / self.cells if self.cells else 0.0
        return {"empty": self.empty, "mean_characters": mean, "longest": self.longest}


def _hashes(texts: Iterable[str]) -> Any:
    """64 bits a text: among a million different rows a false pair turns up once in 37 million tables."""
    import hashlib

    import numpy as np

    joined = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(joined, dtype=np.uint64)


def _count(labels: dict[str, Counter[str]], block: Block, label: str) -> None:
    """Adds a block's labels; those that turn up after MOST_LABELS others are counted together."""
    for row in block:
        name = row[label] if row[label] in labels or len(labels) < MOST_LABELS else OTHERS
        labels.setdefault(name, Counter())[row[SPLIT]] += 1


def _balance(labels: Mapping[str, Counter[str]]) -> dict[str, Any]:
    ordered = sorted(labels.items(), key=lambda item: (-item[1].total(), item[0]))
    counts = {name: dict(counter) for name, counter in ordered[:SHOWN_LABELS]}
    return {
        "different": len(labels),
        "shown": counts,
        "rest": sum(label_counts.total() for _, label_counts in ordered[SHOWN_LABELS:]),
    }


def _duplicates(parts: Sequence[Any]) -> dict[str, Any]:
    """How many rows repeat an earlier one, and the first of them by number (from 1)."""
    import numpy as np

    keys = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(keys)))
    pairs = [[int(first[inverse[index]]) + 1, int(index) + 1] for index in again[:SHOWN_ROWS]]
    return {"rows": len(again), "shown": pairs}


def _overlap(parts: Sequence[Any], splits: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """For two splits each: how many rows of the second ask what a row of the first asks, with some of them."""
    import numpy as np

    keys = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
    marks = np.fromiter(itertools.chain.from_iterable(splits), dtype=np.int8)
    overlaps = []
    for a, b in itertools.combinations(range(len(SPLITS)), 2):
        first, second = np.flatnonzero(marks == a), np.flatnonzero(marks == b)
        if not len(first) or not len(second):
            continue
        shared = second[np.isin(keys[second], keys[first])]
        pairs = []
        for index in shared[:SHOWN_ROWS]:
            twin = first[np.flatnonzero(keys[first] == keys[index])[0]]
            pairs.append([int(twin) + 1, int(index) + 1])
        names = {"first": SPLITS[a], "second": SPLITS[b]}
        overlaps.append({**names, "rows": len(shared), "of": len(second), "shown": pairs})
    return overlaps
