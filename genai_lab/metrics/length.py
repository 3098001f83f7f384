"""Length of completions: in words, and as a ratio to the reference's."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from genai_lab.metrics import METRICS, Array, Figure, NoSettings, Rows, Sample


class LengthRatio:
    name = "length_ratio"
    title = "Length ratio"
    about = "Words of all completions over words of all references (the closest in length); 1 is as long as wanted."
    citation = "Papineni et al., 2002, section 2.2.2"
    needs = "references"
    settings = NoSettings
    figures = (Figure("ratio", "length ratio", 0.0, None, summed=True),)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Any, model: Any = None
    ) -> Rows:
        made = [len(text.split()) for text in predictions]
        wanted = [
            min((len(one.split()) for one in several), key=lambda size: (abs(size - own), size))
            for own, several in zip(made, references, strict=True)
        ]
        shown = [own / size if size else None for own, size in zip(made, wanted, strict=True)]
        parts = np.array([made, wanted], dtype=float).T
        return Rows({"ratio": Sample(parts, _ratio, shown=shown)}, "words by space|closest reference")


def _ratio(sums: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)


METRICS.register(LengthRatio.name)(LengthRatio())
