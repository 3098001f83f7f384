"""Far from one another: each next one is the row least like those already chosen (farthest-first traversal).

Gonzalez, Clustering to minimize the maximum intercluster distance, Theoretical Computer Science 38, 1985.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from genai_lab.prompts.few_shot import SELECTORS, Pool
from genai_lab.prompts.few_shot.similar import vectors

MOST_COMPARED = 5_000
SPARE = 8


class Diverse:
    name = "diverse"
    title = "Diverse"
    about = "Rows that are least like one another (TF-IDF), begun with one drawn by the seed; the same for every item."
    per_item = False
    seeded = True

    def rank(self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]) -> Iterator[list[int]]:
        order = np.random.default_rng(seed).permutation(len(pool.examples))[:MOST_COMPARED]
        if not len(order):
            yield []
            return
        _, matrix = vectors([pool.texts[index] for index in order])
        selected, likeness = [0], (matrix @ matrix[0].T).toarray().ravel()
        while len(selected) < min(k + SPARE, len(order)):
            likeness[selected] = np.inf
            selected.append(int(np.argmin(likeness)))
            likeness = np.maximum(likeness, (matrix @ matrix[selected[-1]].T).toarray().ravel())
        others = [index for index in range(len(order)) if index not in set(selected)]
        yield [int(order[index]) for index in (*selected, *others)]


SELECTORS.register("diverse")(Diverse())
