"""The first ones of the part that shots come from."""

from collections.abc import Iterator, Sequence

from genai_lab.prompts.few_shot import SELECTORS, Pool


class First:
    name = "first"
    title = "First"
    about = "The first rows, the same for every item; the seed draws their order."
    per_item = False
    seeded = True

    def rank(self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]) -> Iterator[range]:
        yield range(len(pool.examples))


SELECTORS.register("first")(First())
