"""From examples to batches: how often each dataset is sampled, in which order, and what the model reads at each place.

Everything is decided by the seed before the first step, so that a resumed run reads what an unbroken one would.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from typing import Any, overload

from genai_lab.training.objective import EncodingContext, Objective
from genai_lab.training.plan import TrainingPlan

CHUNK = 50
WINDOW = 4096
LOOKED_AT = 500_000
Index = tuple[int, int]  # (dataset, example)


def mixing_weights(plan: TrainingPlan, rows_per_source: Sequence[int]) -> list[float]:
    """Shares of the datasets, which add up to 1, as `plan.mixing` says."""
    if plan.mixing == "weights":
        raw = [float(spec.weight) if rows else 0.0 for spec, rows in zip(plan.data, rows_per_source, strict=True)]
    else:
        several = len(rows_per_source) > 1
        counted = [min(rows, plan.cap) if plan.cap and several else rows for rows in rows_per_source]
        power = 1.0 if plan.mixing == "size" else 1.0 / plan.temperature
        raw = [rows**power for rows in counted]
    total = sum(raw)
    return [weight / total for weight in raw] if total else [0.0] * len(rows_per_source)


def sample_order(passes: Sequence[Sequence[int]], weights: Sequence[float], seed: int) -> Iterator[Index]:
    """Indices without end: datasets by their weights, and of a dataset one pass after the other, each shuffled.

    `passes` are the numbers of examples of each dataset that are one pass over its rows, one behind the other.
    """
    dataset_rng, rng = random.Random(f"parts {seed}"), random.Random(f"order {seed}")
    waiting: list[list[int]] = [[] for _ in passes]
    counts = [0] * len(passes)
    datasets, bounds = range(len(passes)), list(accumulate(weights))
    while True:
        dataset = dataset_rng.choices(datasets, cum_weights=bounds)[0] if len(passes) > 1 else 0
        if not waiting[dataset]:
            number = counts[dataset] % len(passes[dataset])
            before, size = sum(passes[dataset][:number]), passes[dataset][number]
            waiting[dataset] = [before + example for example in rng.sample(range(size), size)]
            counts[dataset] += 1
        yield dataset, waiting[dataset].pop()


def group_by_length(
    order: Iterable[Index], length: Callable[[Index], Any], batch_size: int, seed: int
) -> Iterator[Index]:
    """The same indices with those of similar length in one batch: sorted within CHUNK batches, batches shuffled."""
    rng, indices = random.Random(f"grouped {seed}"), iter(order)
    while chunk := sorted(islice(indices, batch_size * CHUNK), key=length):
        batches = [chunk[start : start + batch_size] for start in range(0, len(chunk), batch_size)]
        full = [batch for batch in batches if len(batch) == batch_size]
        partial = [batch for batch in batches if len(batch) < batch_size]
        rng.shuffle(full)
        yield from (index for batch in (*full, *partial) for index in batch)


class LazyIndex(Sequence[Index]):
    """The first `count` of the indices that `restart` yields, always the same. They are made when they are looked at
    and a few are held at a time, so that a run of millions of steps takes no more memory than a short one; a look
    back starts again.
    """

    def __init__(self, restart: Callable[[], Iterator[Index]], count: int) -> None:
        self._indices_from_start, self._count = restart, count
        self._restart()

    def _restart(self) -> None:
        self._indices, self._start = self._indices_from_start(), 0
        self._window: list[Index] = []

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, position: int) -> Index: ...
    @overload
    def __getitem__(self, position: slice) -> list[Index]: ...
    def __getitem__(self, position: int | slice) -> Index | list[Index]:
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(self._count))]
        if not 0 <= position < self._count:
            raise IndexError(position)
        if position < self._start:
            self._restart()
        while position >= self._start + len(self._window):
            self._start += len(self._window)
            self._window = list(islice(self._indices, WINDOW))
        return self._window[position - self._start]


@dataclass(frozen=True)
class FeatureDataset:
    """A torch dataset: position -> the features that are read there. `references` are values of a reference model by
    (dataset, example), for objectives whose features have a field `reference`.
    """

    examples: Sequence[Sequence[Any]]
    indices: Sequence[Index]
    objective: Objective
    context: EncodingContext
    seed: int
    references: Mapping[Index, tuple[float, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Any:
        dataset, example = self.indices[position]
        rng = random.Random(f"draw {self.seed} {position}")
        features = self.objective.features(self.examples[dataset][example], self.context, rng)
        reference = self.references.get((dataset, example))
        return features if reference is None else replace(features, reference=reference)

    def example(self, index: Index) -> Any:
        return self.examples[index[0]][index[1]]

    def largest_batch(self, batch_size: int) -> tuple[int, int]:
        """(tokens read, tokens written) of the batch that takes most of the first LOOKED_AT rows; of a decoder-only
        model's the mean of what its rows learn, 0 for all.
        """
        most, largest = 0, (1, 1)
        architecture = self.context.architecture
        for start in range(0, min(len(self.indices), LOOKED_AT), batch_size):
            batch = [self.example(index) for index in self.indices[start : start + batch_size]]
            lengths = [self.objective.lengths(example, architecture) for example in batch]
            widths, targets = zip(*lengths, strict=True)
            width, target = max(widths), math.ceil(sum(targets) / len(targets))
            if architecture == "encoder-decoder":
                target = max(targets) or width
            written = target * target if architecture == "encoder-decoder" else 0
            # Attention grows with the square, so that the widest batch counts and not the one of most tokens.
            size = width * width + written + 64 * (width + target)
            if size > most:
                most, largest = size, (width, target)
        return largest


def training_dataset(
    plan: TrainingPlan,
    examples: Sequence[Sequence[Any]],
    steps: int,
    objective: Objective,
    context: EncodingContext,
    passes: Sequence[Sequence[int]] = (),
    rows_per_source: Sequence[int] = (),
) -> FeatureDataset:
    """What a run of `steps` reads. `passes` are for each dataset the numbers of examples of one pass over its rows
    (without, all are one pass), and `rows_per_source` the rows by which datasets are mixed (without, the examples).
    """
    training = plan.training
    passes = passes or [(len(part),) for part in examples]
    weights = mixing_weights(plan, rows_per_source or [len(part) for part in examples])
    count = steps * training.rows_per_step

    def length(index: Index) -> tuple[int, int]:
        return objective.grouping_key(examples[index[0]][index[1]])

    def restart() -> Iterator[Index]:
        order = islice(sample_order(passes, weights, training.seed), count)
        if not training.group_by_length:
            return order
        return group_by_length(order, length, training.per_device_batch_size * training.processes, training.seed)

    return FeatureDataset(examples, LazyIndex(restart, count), objective, context, training.seed)


def validation_dataset(examples: Sequence[Any], objective: Objective, context: EncodingContext) -> FeatureDataset:
    """Every example once, always with the same masks, the long ones together."""
    widths = [objective.width(example, validation=True) for example in examples]
    indices = sorted(((0, example) for example in range(len(examples))), key=lambda index: widths[index[1]])
    return FeatureDataset([examples], indices, objective, context, 0)
