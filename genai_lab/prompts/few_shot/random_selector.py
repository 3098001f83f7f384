"""Drawn by the seed, all rows alike."""

from collections.abc import Iterator, Sequence

import numpy as np

from genai_lab.prompts.few_shot import SELECTORS, Pool


class Random:
    name = "random"
    title = "Random"
    about = "Drawn by the seed, the same for every item, so that what they share is read once."
    per_item = False
    seeded = True

    def rank(self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]) -> Iterator[list[int]]:
        yield np.random.default_rng(seed).permutation(len(pool.examples)).tolist()


SELECTORS.register("random")(Random())
