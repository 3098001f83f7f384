"""What a run will take, before it begins: memory by kind, disk, time; refused where it does not fit.

`estimate` tells memory and disk in some seconds. `timed` times two steps in a process of its own and remembers them for
plans that differ only in what no step depends on, such as their number, so that a page can show both and Start at once.
"""

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models.checks import size_text
from genai_lab.services.training.preparation import HELD, ResolvedPlan, device_of, folder_of, prepare, together
from genai_lab.training import DatasetSpec, Plan
from genai_lab.training.batches import longest
from genai_lab.training.learning_rates import default_rate
from genai_lab.training.memory import GPUS, MemoryPlan, machine_memory
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES, Item
from genai_lab.training.step_timing import StepTime, Timed
from genai_lab.training.step_timing import timed as steps_timed
from genai_lab.views import View

LOOKED_AT = 400


@dataclass(frozen=True)
class Duration(View):
    """How long a run will take, foreseen from timed steps; `passes` over its `rows` rows. Scoring is not in it."""

    seconds: float
    seconds_a_step: float
    tokens_a_second: float
    steps: int
    rows: int
    passes: float

    @property
    def sentence(self) -> str:
        """One line for a person."""
        minutes = f"{self.seconds / 60:,.0f} min" if self.seconds >= 120 else f"{self.seconds:,.0f} s"
        return (
            f"About {minutes} here, {self.tokens_a_second:,.0f} tokens/s; {self.steps:,} steps are {self.passes:.2g} "
            f"passes over {self.rows:,} rows."
        )


@dataclass(frozen=True)
class Estimate(View):
    """Bytes. `free` is what the machine has left, `length` and `target` the tokens of the longest rows looked at.

    `memory` is what one process takes; `processes` of them share the machine's memory.
    """

    memory: MemoryPlan
    free: int
    disk: int
    disk_free: int
    length: int
    target: int
    processes: int = 1

    @property
    def peak(self) -> int:
        return self.memory.peak * self.processes

    @property
    def fits(self) -> bool:
        return self.peak <= self.free and self.disk <= self.disk_free

    def as_dict(self) -> dict[str, Any]:
        return {
            "memory": asdict(self.memory),
            **{
                name: getattr(self, name)
                for name in ("free", "disk", "disk_free", "length", "target", "fits", "processes")
            },
            "gpus": {name: size >= self.on_gpu for name, size in GPUS.items()},
        }

    @property
    def on_gpu(self) -> int:
        """What a GPU would have to hold, whose allocator keeps less than glibc's."""
        return int(getattr(self.memory, "needed", self.memory.peak))


def estimate(lab: LabContext, plan: Plan, found: ResolvedPlan) -> Estimate:
    """From the longest of some rows; raises LabError where the data cannot be learned from."""
    length, target = _sizes(lab, plan, found)[0]
    key = plan.to_yaml()
    device = device_of(lab)
    memory = _memory(key, str(folder_of(found)), found.architecture, found.labels, length, target, device)
    free_disk = shutil.disk_usage(lab.config.home).free
    many = plan.training.processes
    processes = many if many > 1 and device == "cpu" else 1  # a GPU each has one
    return Estimate(memory, machine_memory(), _disk(plan, memory), free_disk, length, target, processes)


def checked(lab: LabContext, plan: Plan, found: ResolvedPlan) -> dict[str, Any]:
    """The estimate; raises LabError where the run does not fit into memory or on the disk."""
    made = estimate(lab, plan, found)
    if made.peak > made.free:
        many = f" for its {made.processes} processes" if made.processes > 1 else ""
        raise LabError(
            f"The run needs about {size_text(made.peak)} of memory{many}, and {size_text(made.free)} are free; lower "
            "the batch or the length, turn checkpointing on, or choose a method that trains less."
        )
    if made.disk > made.disk_free:
        raise LabError(
            f"The run needs about {size_text(made.disk)} of disk for its checkpoints, and {size_text(made.disk_free)} "
            "are free; free some space, or choose a method that trains less."
        )
    return made.as_dict()


@lru_cache(maxsize=64)
def _memory(
    key: str, base: str, architecture: Any, labels: tuple[str, ...], length: int, target: int, device: str = "cpu"
) -> MemoryPlan:
    from pathlib import Path

    from genai_lab.training.memory_estimate import foresee

    return foresee(Plan.from_yaml(key), Path(base), architecture, labels, length, target, device)


def timed(lab: LabContext, plan: Plan, found: ResolvedPlan) -> Duration:
    """Times two steps unless that has been done; raises LabError where they cannot be made, or do not fit into memory.

    Call it after `estimate`, from a handler that may take a minute: it loads the base in a process of its own.
    """
    checked(lab, plan, found)
    training, (length, target) = plan.training, _sizes(lab, plan, found)[1]
    # What a step does not depend on is left out, so that the same steps are timed once.
    kept = replace(
        training, max_steps=1, num_train_epochs=0.0, learning_rate=None, seed=0, eval_steps=0,
        early_stopping_patience=0, processes=1,
        sharding="none", gradient_accumulation_steps=1,
    )  # fmt: skip
    key = replace(
        plan, training=kept, data=(DatasetSpec("none"),), split=Plan.split, validation_split=Plan.validation_split
    )
    step = _step_time(
        Timed(key.to_yaml(), str(folder_of(found)), found.architecture, found.labels, length, target, device_of(lab))
    )
    rows = _learned_rows(plan, found)
    steps = (
        math.ceil(training.num_train_epochs * rows / training.rows_per_step)
        if training.num_train_epochs
        else training.max_steps
    )
    steps = max(1, steps)
    looks = steps // training.steps_between_evaluations(steps) + 1
    held = min(training.validation_rows, rows) / training.per_device_batch_size
    # Reading without learning takes about a third of a step.
    seconds = steps * training.gradient_accumulation_steps * step.seconds + looks * held * step.seconds / 3
    return Duration(
        seconds=seconds,
        seconds_a_step=training.gradient_accumulation_steps * step.seconds,
        tokens_a_second=step.tokens * training.processes / step.seconds,
        steps=steps,
        rows=rows,
        passes=steps * training.rows_per_step / rows,
    )


@lru_cache(maxsize=64)
def _step_time(order: Timed) -> StepTime:
    return steps_timed(order)


def _learned_rows(plan: Plan, found: ResolvedPlan) -> int:
    """Rows of one pass: those of the split, less those held out where there is no split to validate on."""
    rows = 0
    for version in found.versions:
        size = version.splits[plan.split]
        own = plan.validation_split in version.splits and plan.validation_split != plan.split
        held = 0 if own else max(1, min(plan.training.validation_rows // len(found.versions), round(HELD * size)))
        rows += max(1, size - held)
    return rows


Sizes = tuple[tuple[int, int], tuple[int, int]]


def _sizes(lab: LabContext, plan: Plan, found: ResolvedPlan) -> Sizes:
    """(tokens of the longest row and its completion, of a usual batch's): of LOOKED_AT rows, or what blocks have."""
    if OBJECTIVES.get(plan.objective).needs == "text":
        block = plan.training.max_length, plan.training.max_length if found.architecture == "encoder-decoder" else 0
        return block, block
    from genai_lab.training.loading import load_tokenizer

    few = replace(plan.training, max_steps=max(1, LOOKED_AT // plan.training.rows_per_step), num_train_epochs=0.0)
    made = prepare(lab, replace(plan, training=few), found, load_tokenizer(folder_of(found)))
    items: list[Item] = [item for part in made.train for item in part]
    if found.architecture == "encoder-decoder":
        pairs = [(len(one.ids), len(one.target)) for one in items]
    elif plan.objective == "classification":
        pairs = [(len(one.ids), 0) for one in items]
    else:
        pairs = [(longest(one), 0) for one in items]
    lengths, targets = zip(*pairs, strict=True)
    return (max(lengths), max(targets)), (_usual(plan, lengths), _usual(plan, targets))


def _usual(plan: Plan, lengths: Sequence[int]) -> int:
    """The mean width of batches: rows of similar length share one, or they come as they are."""
    ordered = sorted(lengths) if plan.training.group_by_length else list(lengths)
    size = plan.training.per_device_batch_size
    widths = [max(ordered[start : start + size]) for start in range(0, len(ordered), size)]
    return round(sum(widths) / len(widths))


def _disk(plan: Plan, memory: MemoryPlan) -> int:
    """Four checkpoints of the trained weights with two optimiser states each (three that are kept and the one being
    written), and the artefact.
    """
    trained = 4 * memory.trained
    whole = METHODS.get(plan.method).artefact == "model" or OBJECTIVES.get(plan.objective).head == "reward"
    return 12 * trained + (4 * memory.parameters if whole else trained)


def rate_of(lab: LabContext, model: str, objective: str, method: str) -> float:
    """The learning rate of a run on the model whose plan gives none."""
    from genai_lab.services import models

    return default_rate(method, objective, models.show(lab, model).card.parameters)


def share_of(lab: LabContext, model: str, objective: str, method: str) -> tuple[int, int] | None:
    """(trained, all) parameters with the method's own settings; None where the two do not suit the model."""
    from genai_lab.services import models
    from genai_lab.training import architecture_of

    try:
        card = models.show(lab, model).card
        architecture = architecture_of(card)
        member, way = OBJECTIVES.get(objective), METHODS.get(method)
        suits = architecture in member.architectures and architecture in way.architectures
        suits = suits and together(objective, method) is None
        if card.path is None or not suits or way.refusal():
            return None
        labels = ("a", "b") if member.needs == "label" else ()
        plan = Plan(model, (DatasetSpec("none"),), objective, method)
        made = _memory(plan.to_yaml(), str(card.path), architecture, labels, 16, 8)
    except LabError:
        return None
    return made.trained, made.parameters
