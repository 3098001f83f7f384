"""Nearest to the item by the cosine of an embedder's vectors, with or without regard to what is shown already.

Liu et al., What makes good in-context examples for GPT-3?, 2022 (nearest); Carbonell and Goldstein, The use of MMR,
SIGIR 1998 (maximal marginal relevance): the next one has the greatest (1 - d) cos(item, x) - d max cos(x, chosen).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import LabError
from genai_lab.prompts.few_shot import SELECTORS, Pool

SPARE = 16
CANDIDATES = 8  # for each shot, of which the diverse ones are chosen
ROWS_AT_ONCE = 256


class Embedded:
    name = "embedding"
    title = "Most similar by meaning"
    about = "For every item the rows whose vectors are nearest to its own; diversity keeps them apart from one another."
    per_item = True
    seeded = True
    needs_embedder = True

    def rank(self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]) -> Iterator[list[int]]:
        if pool.embed is None:
            raise LabError("Shots by meaning need an embedder of the catalogue; add one, or choose Most similar.")
        rows, items = (_unit(pool.embed(several)) for several in (pool.texts, texts))
        for start in range(0, len(items), ROWS_AT_ONCE):
            for near in items[start : start + ROWS_AT_ONCE] @ rows.T:
                nearest = np.argsort(-near, kind="stable")
                yield _diverse(rows, near, nearest, k, pool.diversity) if pool.diversity else nearest.tolist()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


def _diverse(
    rows: NDArray[np.float32], near: NDArray[np.float32], nearest: NDArray[np.intp], k: int, diversity: float
) -> list[int]:
    """The places in the pool: first those chosen by maximal marginal relevance, then the others by nearness."""
    candidates = nearest[: CANDIDATES * k + SPARE]
    chosen: list[int] = [int(candidates[0])] if len(candidates) else []
    likeness = rows[candidates] @ rows[chosen[0]] if chosen else np.zeros(0)
    while len(chosen) < min(k + SPARE, len(candidates)):
        value = (1 - diversity) * near[candidates] - diversity * likeness
        value[np.isin(candidates, chosen)] = -np.inf
        place = int(candidates[int(np.argmax(value))])
        chosen.append(place)
        likeness = np.maximum(likeness, rows[candidates] @ rows[place])
    others = nearest[~np.isin(nearest, chosen)]
    return [*chosen, *others.tolist()]


SELECTORS.register("embedding")(Embedded())
