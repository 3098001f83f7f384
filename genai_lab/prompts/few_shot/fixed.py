"""Fixed by hand: the rows that the user named, in that order."""

from collections.abc import Iterator, Sequence

from genai_lab.errors import LabError
from genai_lab.prompts.few_shot import SELECTORS, Pool


class Fixed:
    name = "fixed"
    title = "Fixed by hand"
    about = "The rows that you name, in the order you name them; the same for every item."
    per_item = False
    seeded = False

    def rank(self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]) -> Iterator[list[int]]:
        index_by_key = {example.key: index for index, example in enumerate(pool.examples)}
        for key in fixed:
            if key not in index_by_key:
                raise LabError(
                    f"Row {key + 1} cannot be a shot: it is not in the part that shots come from; name another row."
                )
        if len(fixed) < k:
            raise LabError(f"{k} shots are asked for, but {len(fixed)} rows are named; name more or ask for fewer.")
        yield [index_by_key[key] for key in fixed]


SELECTORS.register("fixed")(Fixed())
