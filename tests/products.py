"""Products of many members: representatives run by default, all the others with the marker `full`."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pytest

Aspect = Callable[[tuple[Any, ...]], Hashable]


def representatives(rows: Iterable[tuple[Any, ...]], *aspects: Aspect) -> list[Any]:
    """The rows as parameters; a row that shows no aspect in a new value is marked `full`."""
    observed: set[tuple[int, Hashable]] = set()
    parameters = []
    for row in rows:
        values = {(index, aspect(row)) for index, aspect in enumerate(aspects)}
        parameters.append(pytest.param(*row, marks=[pytest.mark.full] if values <= observed else []))
        observed |= values
    return parameters
