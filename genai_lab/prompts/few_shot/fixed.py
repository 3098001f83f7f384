"""Fixed by hand: the rows that the user named, in that order."""

from collections.abc import Iterator, Sequence

from genai_lab.errors import LabError
from genai_lab.prompts.few_shot import SELECTORS, Pool


class Fixed:
    name = "fixed"
    title = "Fixed by hand"
    about = "The rows that you name, in the order you name them; the same for every item."
    per_item = False
    drawn = False

    def rank(self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]) -> Iterator[list[int]]:
        places = {example.key: place for place, example in enumerate(pool.examples)}
        for key in fixed:
            if key not in places:
                raise LabError(
                    f"Row {key + 1} cannot be a shot: it is not in the part that shots come from; name another row."
                )
        if len(fixed) < k:
            raise LabError(f"{k} shots are asked for, but {len(fixed)} rows are named; name more or ask for fewer.")
        yield [places[key] for key in fixed]


SELECTORS.register("fixed")(Fixed())
