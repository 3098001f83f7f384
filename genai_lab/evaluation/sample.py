"""What the rows of a dataset contribute to one number of a metric."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One number of a metric; `low` and `high` are the ends of its range, None where there is none.

    A `summed` one is a figure of the whole set, not the mean of its rows' values; one with `more` is shown on demand.
    """

    name: str
    title: str
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool = True
    unit: str = ""
    summed: bool = False
    more: bool = False


@dataclass(frozen=True)
class Sample:
    """What rows contribute to one figure.

    `parts` is (n,), the rows' own values whose mean is the figure, or (n, k), sums whose total `combine` turns into
    the figure: (R, k) -> (R,). NaN marks a row for which the figure is undefined. `shown` is each row's own value for
    reading, where the parts are sums.
    """

    parts: Array
    combine: Callable[[Array], Array] | None = None
    proportion: bool = False
    shown: Sequence[float | None] | None = None

    @property
    def values(self) -> list[float | None]:
        """One value a row for reading, None where undefined."""
        if self.shown is not None:
            return list(self.shown)
        if self.combine is not None:
            return [None if np.isnan(value) else float(value) for value in self.combine(self.parts)]
        return [None if np.isnan(value) else float(value) for value in self.parts]
