"""Encoded examples as .npz files: every field of their dataclass is an array, lists of numbers behind one another."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np

Example = TypeVar("Example")
Arrays = Mapping[str, np.ndarray]
ENDS = " ends"


def write_examples(path: Path, examples: Sequence[Any], kind: type) -> None:
    """The examples, all of the dataclass `kind`, whose fields are numbers, lists of them, texts or such dataclasses
    again.
    """
    arrays: dict[str, Any] = {"count": np.array(len(examples))}
    _collect(arrays, "", kind, examples)
    np.savez(path, **arrays)


def read_examples(path: Path, kind: type[Example]) -> list[Example]:
    with np.load(path, allow_pickle=False) as arrays:
        return _restored(dict(arrays), "", kind, int(arrays["count"]))


def _collect(arrays: dict[str, Any], prefix: str, kind: type, examples: Sequence[Any]) -> None:
    hints = get_type_hints(kind)
    for item in fields(kind):  # type: ignore[arg-type]
        name, hint = prefix + item.name, hints[item.name]
        values = [getattr(example, item.name) for example in examples]
        if is_dataclass(hint):
            _collect(arrays, f"{name}.", hint, values)  # type: ignore[arg-type]
        elif hint in (int, float, bool):
            arrays[name] = np.asarray(values, dtype=hint)
        elif hint is str:
            parts = [np.frombuffer(value.encode("utf-8", "surrogatepass"), dtype=np.uint8) for value in values]
            arrays[name] = np.concatenate([*parts, np.empty(0, np.uint8)])
            arrays[name + ENDS] = np.cumsum([len(part) for part in parts], dtype=np.int64)
        else:
            flat = [np.asarray(value, dtype=np.int32).ravel() for value in values]
            arrays[name] = np.concatenate([*flat, np.empty(0, np.int32)])
            arrays[name + ENDS] = np.cumsum([len(part) for part in flat], dtype=np.int64)


def _restored(arrays: Arrays, prefix: str, kind: type[Example], count: int) -> list[Example]:
    hints, columns = get_type_hints(kind), {}
    for item in fields(kind):  # type: ignore[arg-type]
        name, hint = prefix + item.name, hints[item.name]
        if is_dataclass(hint):
            columns[item.name] = _restored(arrays, f"{name}.", hint, count)  # type: ignore[type-var, arg-type]
        elif hint in (int, float, bool):
            columns[item.name] = arrays[name].tolist()
        elif hint is str:
            columns[item.name] = _texts(arrays, name, count)
        else:
            parts = np.split(arrays[name], arrays[name + ENDS])[:count]
            columns[item.name] = [_ranges(part) if hint != list[int] else part.tolist() for part in parts]
    return [kind(**{name: column[index] for name, column in columns.items()}) for index in range(count)]


def _texts(arrays: Arrays, name: str, count: int) -> Any:
    parts = np.split(arrays[name], arrays[name + ENDS])[:count]
    return [part.tobytes().decode("utf-8", "surrogatepass") for part in parts]


def _ranges(part: np.ndarray) -> Any:
    """(start, end) pairs from the numbers behind one another."""
    return tuple((int(start), int(end)) for start, end in part.reshape(-1, 2))
