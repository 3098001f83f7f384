"""One of each label in turn, so that no answer is shown more often than another."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np

from genai_lab.errors import LabError
from genai_lab.prompts.few_shot import SELECTORS, Pool


class Balanced:
    name = "balanced"
    title = "Balanced by label"
    about = "The same number of every label as far as k allows, drawn by the seed; the same for every item."
    per_item = False
    seeded = True

    def rank(self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]) -> Iterator[list[int]]:
        rng = np.random.default_rng(seed)
        by_label: dict[str, list[int]] = defaultdict(list)
        for index in rng.permutation(len(pool.examples)).tolist():
            label = pool.examples[index].label
            if label is not None:
                by_label[label].append(index)
        if not by_label:
            raise LabError(
                "Shots cannot be balanced: the dataset has no label; map a column to label or choose random."
            )
        names = sorted(by_label)
        turns = [by_label[names[index]] for index in rng.permutation(len(names))]
        yield [index for row in zip_longest(*turns) for index in row if index is not None]


SELECTORS.register("balanced")(Balanced())
