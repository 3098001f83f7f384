"""From items to batches: how often each part is drawn, in which order, and what the model reads at each place.

Everything is decided by the seed before the first step, so that a run that goes on reads what an unbroken one would.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genai_lab.training import IGNORED, Architecture, Plan
from genai_lab.training.objectives import Drawn, Head, Item, Objective

CHUNK = 50


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


def order(sizes: Sequence[int], shares: Sequence[float], count: int, seed: int) -> list[tuple[int, int]]:
    """`count` draws of (part, item): parts by their shares, the items of a part in shuffled passes."""
    rng = random.Random(f"order {seed}")
    passes: list[list[int]] = [[] for _ in sizes]
    parts = rng.choices(range(len(sizes)), weights=list(shares), k=count) if len(sizes) > 1 else [0] * count
    made = []
    for part in parts:
        if not passes[part]:
            passes[part] = rng.sample(range(sizes[part]), sizes[part])
        made.append((part, passes[part].pop()))
    return made


def grouped(
    draws: Sequence[tuple[int, int]], length: Callable[[tuple[int, int]], Any], batch: int, seed: int
) -> list[tuple[int, int]]:
    """The same draws with those of similar length in one batch: sorted within CHUNK batches, batches shuffled."""
    rng = random.Random(f"grouped {seed}")
    made: list[tuple[int, int]] = []
    for start in range(0, len(draws), batch * CHUNK):
        chunk = sorted(draws[start : start + batch * CHUNK], key=length)
        batches = [chunk[place : place + batch] for place in range(0, len(chunk), batch)]
        whole = [one for one in batches if len(one) == batch]
        rest = [one for one in batches if len(one) < batch]
        rng.shuffle(whole)
        made += [one for some in (*whole, *rest) for one in some]
    return made


@dataclass(frozen=True)
class Draws:
    """A torch dataset: place -> what is read there."""

    items: Sequence[Sequence[Item]]
    places: Sequence[tuple[int, int]]
    objective: Objective
    settings: Any
    tokenizer: Any
    architecture: Architecture
    seed: int

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Drawn:
        part, item = self.places[place]
        rng = random.Random(f"draw {self.seed} {place}")
        return self.objective.draw(self.items[part][item], self.tokenizer, self.architecture, rng, self.settings)


def training_draws(
    plan: Plan, items: Sequence[Sequence[Item]], steps: int, objective: Objective, settings: Any, tokenizer: Any,
    architecture: Architecture,
) -> Draws:  # fmt: skip
    """What a run of so many steps reads, in order."""
    training = plan.training
    sizes = [len(one) for one in items]
    places = order(sizes, rates(plan, sizes), steps * training.rows_a_step, training.seed)
    if training.grouping:

        def length(one: tuple[int, int]) -> tuple[int, int]:
            found = items[one[0]][one[1]]
            return len(found.ids) + len(found.target), len(found.target)

        places = grouped(places, length, training.batch * training.processes, training.seed)
    return Draws(items, places, objective, settings, tokenizer, architecture, training.seed)


def validation_draws(
    items: Sequence[Item], objective: Objective, settings: Any, tokenizer: Any, architecture: Architecture
) -> Draws:
    """Every item once, always with the same masks, the long ones together."""
    places = sorted(((0, place) for place in range(len(items))), key=lambda one: len(items[one[1]].ids))
    return Draws([items], places, objective, settings, tokenizer, architecture, 0)


class Collate:
    """Rows of `Drawn` as tensors: input_ids, attention_mask (B, T), labels (B, T), (B, S) or (B,), and for an
    encoder-decoder decoder_input_ids (B, S), the labels moved one place to the right behind the start token.
    """

    def __init__(self, pad: int, architecture: Architecture, head: Head, start: int | None) -> None:
        self.pad, self.architecture, self.head, self.start = pad, architecture, head, start

    def __call__(self, rows: Sequence[Drawn]) -> dict[str, Any]:
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
    """Items as one .npz file."""
    ids = [np.asarray(one.ids, dtype=np.int32) for one in items]
    targets = [np.asarray(one.target, dtype=np.int32) for one in items]
    np.savez(
        path,
        ids=np.concatenate([*ids, np.empty(0, np.int32)]),
        ends=np.cumsum([len(one) for one in ids], dtype=np.int64),
        targets=np.concatenate([*targets, np.empty(0, np.int32)]),
        target_ends=np.cumsum([len(one) for one in targets], dtype=np.int64),
        cut=np.asarray([one.cut for one in items], dtype=bool),
    )


def read_items(path: Path) -> list[Item]:
    with np.load(path, allow_pickle=False) as kept:
        ids, targets = np.split(kept["ids"], kept["ends"]), np.split(kept["targets"], kept["target_ends"])
        return [
            Item(one.tolist(), target.tolist(), bool(cut))
            for one, target, cut in zip(ids, targets, kept["cut"], strict=False)
        ]
