"""From items to batches: how often each part is drawn, in which order, and what the model reads at each place.

Everything is decided by the seed before the first step, so that a run that goes on reads what an unbroken one would.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, overload

import numpy as np

from genai_lab.training import IGNORED, Architecture, Plan
from genai_lab.training.objectives import Drawn, Head, Item, Objective

CHUNK = 50
WINDOW = 4096
Place = tuple[int, int]  # (part, item)


def rates(plan: Plan, sizes: Sequence[int]) -> list[float]:
    """Shares of the parts, which add up to 1, as `plan.mixing` asks for."""
    if plan.mixing == "weights":
        raw = [float(part.weight) if size else 0.0 for part, size in zip(plan.data, sizes, strict=True)]
    else:
        counted = [min(size, plan.cap) if plan.cap and len(sizes) > 1 else size for size in sizes]
        power = 1.0 if plan.mixing == "size" else 1.0 / plan.temperature
        raw = [size**power for size in counted]
    total = sum(raw)
    return [one / total for one in raw] if total else [0.0] * len(sizes)


def order(turns: Sequence[Sequence[int]], shares: Sequence[float], seed: int) -> Iterator[Place]:
    """Draws without end: parts by their shares, and of a part one turn of its items after the other, each shuffled.

    `turns` are the numbers of items of each part that are one pass over its rows, which lie behind one another.
    """
    which, rng = random.Random(f"parts {seed}"), random.Random(f"order {seed}")
    passes: list[list[int]] = [[] for _ in turns]
    counts = [0] * len(turns)
    parts, bounds = range(len(turns)), list(accumulate(shares))
    while True:
        part = which.choices(parts, cum_weights=bounds)[0] if len(turns) > 1 else 0
        if not passes[part]:
            now = counts[part] % len(turns[part])
            before, size = sum(turns[part][:now]), turns[part][now]
            passes[part] = [before + item for item in rng.sample(range(size), size)]
            counts[part] += 1
        yield part, passes[part].pop()


def grouped(draws: Iterable[Place], length: Callable[[Place], Any], batch: int, seed: int) -> Iterator[Place]:
    """The same draws with those of similar length in one batch: sorted within CHUNK batches, batches shuffled."""
    rng, coming = random.Random(f"grouped {seed}"), iter(draws)
    while chunk := sorted(islice(coming, batch * CHUNK), key=length):
        batches = [chunk[place : place + batch] for place in range(0, len(chunk), batch)]
        whole = [one for one in batches if len(one) == batch]
        rest = [one for one in batches if len(one) < batch]
        rng.shuffle(whole)
        yield from (one for some in (*whole, *rest) for one in some)


class Places(Sequence[Place]):
    """The first `count` of the draws that `begin` makes, always the same. They are made when they are looked at and a
    few are held at a time, so that a run of millions of steps takes no more memory than a short one; a look back
    makes them anew.
    """

    def __init__(self, begin: Callable[[], Iterator[Place]], count: int) -> None:
        self._begin, self._count = begin, count
        self._restart()

    def _restart(self) -> None:
        self._coming, self._start = self._begin(), 0
        self._held: list[Place] = []

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Place: ...
    @overload
    def __getitem__(self, place: slice) -> list[Place]: ...
    def __getitem__(self, place: int | slice) -> Place | list[Place]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(self._count))]
        if not 0 <= place < self._count:
            raise IndexError(place)
        if place < self._start:
            self._restart()
        while place >= self._start + len(self._held):
            self._start += len(self._held)
            self._held = list(islice(self._coming, WINDOW))
        return self._held[place - self._start]


@dataclass(frozen=True)
class Draws:
    """A torch dataset: place -> what is read there. `reference` has both sides' log-probabilities by (part, item)."""

    items: Sequence[Sequence[Item]]
    places: Sequence[tuple[int, int]]
    objective: Objective
    settings: Any
    tokenizer: Any
    architecture: Architecture
    seed: int
    reference: Mapping[tuple[int, int], tuple[float, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Drawn:
        part, item = self.places[place]
        rng = random.Random(f"draw {self.seed} {place}")
        drawn = self.objective.draw(self.items[part][item], self.tokenizer, self.architecture, rng, self.settings)
        known = self.reference.get((part, item))
        return replace(drawn, reference=known) if known is not None else drawn


def training_draws(
    plan: Plan, items: Sequence[Sequence[Item]], steps: int, objective: Objective, settings: Any, tokenizer: Any,
    architecture: Architecture, turns: Sequence[Sequence[int]] = (), sizes: Sequence[int] = (),
) -> Draws:  # fmt: skip
    """What a run of so many steps reads, in order; see `order` for `turns`. Parts are mixed by `sizes`, their rows.

    Without these an item is a row.
    """
    training = plan.training
    turns = turns or [(len(one),) for one in items]
    shares = rates(plan, sizes or [len(one) for one in items])
    count = steps * training.rows_per_step

    def length(one: Place) -> tuple[int, int]:
        found = items[one[0]][one[1]]
        return longest(found), len(found.target)

    def begin() -> Iterator[Place]:
        drawn = islice(order(turns, shares, training.seed), count)
        return (
            grouped(drawn, length, training.per_device_batch_size * training.processes, training.seed)
            if training.group_by_length
            else drawn
        )

    return Draws(items, Places(begin, count), objective, settings, tokenizer, architecture, training.seed)


def longest(item: Item, held: bool = False) -> int:
    """Tokens of an item's longer side; of held rows of one side those that are read."""
    if item.rejected is not None:
        return max(len(one.ids) + len(one.target) for one in (item, item.rejected))
    return len(item.ids) + (0 if held else len(item.target))


def validation_draws(
    items: Sequence[Item], objective: Objective, settings: Any, tokenizer: Any, architecture: Architecture
) -> Draws:
    """Every item once, always with the same masks, the long ones together."""
    places = sorted(((0, place) for place in range(len(items))), key=lambda one: longest(items[one[1]], held=True))
    return Draws([items], places, objective, settings, tokenizer, architecture, 0)


class Collate:
    """Rows of `Drawn` as tensors: input_ids, attention_mask (B, T), labels (B, T), (B, S) or (B,), and for an
    encoder-decoder decoder_input_ids (B, S), the labels moved one place to the right behind the start token.

    Pairs (2B, T): all chosen sides before all rejected ones, as TRL has them, with weight and margin (B,); under a
    language model's head also completion_mask (2B, T), and ref_chosen_logps and ref_rejected_logps (B,) where known.
    """

    def __init__(self, pad: int, architecture: Architecture, head: Head, start: int | None) -> None:
        self.pad, self.architecture, self.head, self.start = pad, architecture, head, start

    def __call__(self, rows: Sequence[Drawn]) -> dict[str, Any]:
        """The batch of these rows."""
        if rows[0].rejected is not None:
            return self._pairs(rows)
        return self._rows(rows)

    def _pairs(self, pairs: Sequence[Drawn]) -> dict[str, Any]:
        import torch

        made = self._rows([*pairs, *(one.rejected for one in pairs if one.rejected is not None)])
        labels = made.pop("labels")
        made["weight"] = torch.tensor([one.weight for one in pairs], dtype=torch.float32)
        made["margin"] = torch.tensor([one.margin for one in pairs], dtype=torch.float32)
        if self.head == "lm":
            # A label stands where it is predicted, TRL's mask where the token stands.
            made["completion_mask"] = torch.zeros_like(labels)
            made["completion_mask"][:, 1:] = labels[:, :-1] != IGNORED
            if (known := [one.reference for one in pairs if one.reference is not None]) and len(known) == len(pairs):
                made["ref_chosen_logps"], made["ref_rejected_logps"] = torch.tensor(known, dtype=torch.float32).T
        return made

    def _rows(self, rows: Sequence[Drawn]) -> dict[str, Any]:
        import torch

        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), self.pad)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = torch.tensor(row.ids)
            mask[place, : len(row.ids)] = 1
        made = {"input_ids": ids, "attention_mask": mask}
        if self.head == "classify":
            return made | {"labels": torch.tensor([row.labels[0] for row in rows])}
        size = max(len(row.labels) for row in rows) if self.architecture == "encoder-decoder" else width
        labels = torch.full((len(rows), size), IGNORED)
        for place, row in enumerate(rows):
            labels[place, : len(row.labels)] = torch.tensor(row.labels)
        if self.architecture == "encoder-decoder":
            shifted = labels.new_full(labels.shape, self.pad)
            shifted[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, self.pad)
            shifted[:, 0] = self.start if self.start is not None else self.pad
            made["decoder_input_ids"] = shifted
        return made | {"labels": labels}


def write_items(path: Path, items: Sequence[Item]) -> None:
    """Items as one .npz file; the rejected sides of pairs stand behind all chosen ones."""
    pairs = [one.rejected for one in items if one.rejected is not None]
    sides = [*items, *pairs]
    ids = [np.asarray(one.ids, dtype=np.int32) for one in sides]
    targets = [np.asarray(one.target, dtype=np.int32) for one in sides]
    np.savez(
        path,
        ids=np.concatenate([*ids, np.empty(0, np.int32)]),
        ends=np.cumsum([len(one) for one in ids], dtype=np.int64),
        targets=np.concatenate([*targets, np.empty(0, np.int32)]),
        target_ends=np.cumsum([len(one) for one in targets], dtype=np.int64),
        cut=np.asarray([one.cut for one in sides], dtype=bool),
        learned=np.concatenate([*(np.not_equal(one.labels, IGNORED) for one in sides), np.empty(0, bool)]),
        weights=np.asarray([one.weight for one in items]),
        margins=np.asarray([one.margin for one in items]),
        pairs=len(pairs),
    )


def _runs(marked: np.ndarray) -> tuple[tuple[int, int], ...]:
    """(start, end) of each run of places that are marked."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))


def read_items(path: Path) -> list[Item]:
    with np.load(path, allow_pickle=False) as kept:
        ids, targets = np.split(kept["ids"], kept["ends"]), np.split(kept["targets"], kept["target_ends"])
        learned = kept["learned"] if "learned" in kept else np.ones(len(kept["targets"]), bool)
        marks = np.split(learned, kept["target_ends"])
        sides = [
            Item(one.tolist(), target.tolist(), bool(cut), unlearned=_runs(~mark))
            for one, target, cut, mark in zip(ids, targets, kept["cut"], marks, strict=False)
        ]
        count = int(kept["pairs"])
        if not count:
            return sides
        rest = zip(sides[:count], sides[count:], kept["weights"].tolist(), kept["margins"].tolist(), strict=True)
        return [replace(one, rejected=other, weight=w, margin=m) for one, other, w, m in rest]
