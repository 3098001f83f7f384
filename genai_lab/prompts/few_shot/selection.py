"""Which solved examples a prompt shows: a family, one way of choosing a file.

A way ranks the pool; `select` takes the first k that are allowed and draws their order by the seed. Never shown are
the item itself, a row with the same text, the same text twice, and rows of the split that is being evaluated.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import LabError
from genai_lab.registry import Registry
from genai_lab.settings import as_mapping, check_settings, setting

if TYPE_CHECKING:
    from genai_lab.data import Example

MOST_SHOTS = 1000
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Pool:
    """What may be shown: the examples, and the text of each by which they are compared.

    `embed` gives texts their vectors (n, d) for ways that compare by them; `diversity` is from 0, where only nearness
    to the item counts, to 1, where only distance from the shots already chosen does.
    """

    examples: "Sequence[Example]"
    texts: Sequence[str]
    embed: Embed | None = None
    diversity: float = 0.0


class Selector(Protocol):
    """A way of choosing. `per_item` tells whether every item gets its own shots; `seeded` whether seeds change it.

    One that compares vectors says so by `needs_embedder = True`.
    """

    name: str
    title: str
    about: str
    per_item: bool
    seeded: bool

    def rank(
        self, pool: Pool, texts: Sequence[str], k: int, seed: int, fixed: Sequence[int]
    ) -> Iterator[Iterable[int]]:
        """For each item's text the places in the pool, best first, more than `k` where the pool has them.

        A way that treats all items alike yields one ranking and stops. Raises LabError for what it cannot do.
        """


SELECTORS: Registry[Selector] = Registry("way of choosing shots", "genai_lab.prompts.few_shot")


@dataclass(frozen=True)
class ShotSettings:
    """How shots are chosen; kept with the run. `fixed` holds keys of examples (row numbers from 0)."""

    selector: str = setting("random", "How the solved examples are chosen.")
    k: int = setting(0, "How many solved examples.", 0, MOST_SHOTS, label="Shots", renamed_from=("shots", "num_shots"))
    seed: int = setting(0, "Draws the examples and their order.", 0, 2**32 - 1)
    fixed: tuple[int, ...] = setting((), "Keys of the examples, for shots fixed by hand.")
    embedder: str = setting("", "Compares texts for shots by meaning; empty: the first embedder.", role="embed")
    diversity: float = setting(
        0.0, "Of shots by meaning: 0 takes the nearest ones, 1 those least like one another.", 0.0, 1.0, step=0.05
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixed", tuple(self.fixed))
        check_settings(self)
        SELECTORS.get(self.selector)

    def choose(
        self,
        pool: "Sequence[Example]",
        items: "Sequence[Example]",
        columns: Sequence[str] | None = None,
        embed: Embed | None = None,
    ) -> "list[tuple[Example, ...]]":
        return select(
            self.selector, pool, items, self.k, self.seed, self.fixed, columns=columns, embed=embed,
            diversity=self.diversity,
        )  # fmt: skip

    @property
    def needs_embedder(self) -> bool:
        return bool(self.k) and needs_embedder(self.selector)

    def as_dict(self) -> dict[str, Any]:
        return as_mapping(self)


def needs_embedder(selector: str) -> bool:
    """Whether the way compares vectors of texts."""
    return getattr(SELECTORS.get(selector), "needs_embedder", False)


def select(
    name: str,
    pool: "Sequence[Example]",
    items: "Sequence[Example]",
    k: int,
    seed: int = 0,
    fixed: Sequence[int] = (),
    *,
    columns: Sequence[str] | None = None,
    embed: Embed | None = None,
    diversity: float = 0.0,
) -> "list[tuple[Example, ...]]":
    """The shots of every item, k each, in the order they are shown.

    `columns` are those whose texts make two examples alike (the columns that the template reads); without them all
    but the answers count. Raises LabError where fewer than k are allowed.
    """
    if not k or not items:
        return [() for _ in items]
    selector = SELECTORS.get(name)
    evaluated = {item.split for item in items}
    allowed = [example for example in pool if example.split not in evaluated]
    if pool and not allowed:
        raise LabError(
            f"All examples are in the split {' and '.join(sorted(evaluated))!s}, which is being evaluated; split the "
            "dataset, so that shots come from another part."
        )
    candidates = Pool(allowed, [text_of(example, columns) for example in allowed], embed, diversity)
    texts = [text_of(item, columns) for item in items]
    rankings = selector.rank(candidates, texts, k, seed, fixed)
    common = None if selector.per_item else [int(index) for index in next(rankings)]
    shots = []
    for item, text in zip(items, texts, strict=True):
        examples = _taken(candidates, common if common is not None else next(rankings), item, text, k)
        order = _order(selector, k, seed, item)
        shots.append(tuple(examples[index] for index in order))
    return shots


def text_of(example: "Example", columns: Sequence[str] | None = None) -> str:
    """What makes two examples the same: the named columns, or all that hold no answer; case and spaces aside."""
    answers = {*example.references, example.label}
    names = columns or [name for name, value in example.fields.items() if value not in answers] or example.fields
    return " ".join(" ".join(example.fields.get(name, "") for name in names).lower().split())


def _order(selector: Selector, k: int, seed: int, item: "Example") -> Sequence[int]:
    if not selector.seeded:
        return range(k)
    item_key = [item.key] if selector.per_item else []
    return np.random.default_rng([seed, k, *item_key]).permutation(k).tolist()


def _taken(pool: Pool, ranking: Iterable[int], item: "Example", text: str, k: int) -> "list[Example]":
    examples: list[Example] = []
    texts = {text}
    for index in ranking:
        example = pool.examples[index]
        if example.key != item.key and pool.texts[index] not in texts:
            texts.add(pool.texts[index])
            examples.append(example)
            if len(examples) == k:
                return examples
    raise LabError(
        f"{k} shots are asked for, but only {len(examples)} can be shown with row {item.key + 1}; ask for fewer or "
        "choose another way."
    )
