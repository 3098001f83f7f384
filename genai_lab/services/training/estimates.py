"""What a run will take, before it begins: memory by kind, disk, time; refused where it does not fit.

`estimate` gives memory and disk in some seconds. `time_run` times two steps in a process of its own and remembers them
for plans that differ only in what no step depends on, such as their number.
"""

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from statistics import mean
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models.checks import size_text
from genai_lab.services import models
from genai_lab.services.training.preparation import prepare
from genai_lab.services.training.resolution import ResolvedPlan, exclusion_reason
from genai_lab.training.learning_rates import default_rate
from genai_lab.training.memory import GPUS, MemoryPlan, machine_memory
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import DatasetSpec, TrainingPlan, architecture_of
from genai_lab.training.row_reading import held_rows
from genai_lab.training.step_timing import StepTime, TimingRequest, time_in_process
from genai_lab.views import View

SAMPLED_ROWS = 400


@dataclass(frozen=True)
class Duration(View):
    """How long a run will take, foreseen from timed steps, with its evaluations; `passes` over its `rows` rows.

    Completions that are scored and the report on held-out rows are not in it.
    """

    seconds: float
    seconds_per_step: float
    tokens_per_second: float
    steps: int
    rows: int
    passes: float

    @property
    def sentence(self) -> str:
        """One line for a person."""
        minutes = f"{self.seconds / 60:,.0f} min" if self.seconds >= 120 else f"{self.seconds:,.0f} s"
        return (
            f"About {minutes} here, {self.tokens_per_second:,.0f} tokens/s; {self.steps:,} steps are {self.passes:.2g} "
            f"passes over {self.rows:,} rows."
        )


@dataclass(frozen=True)
class MemoryEstimate(View):
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


def estimate(lab: LabContext, resolved: ResolvedPlan) -> MemoryEstimate:
    """From the longest of some rows; raises LabError where nothing can be learned from the data."""
    plan, device = resolved.plan, resolved.device
    length, target = _longest_and_usual(resolved)[0]
    from genai_lab.training.memory_estimate import estimate_memory

    memory = estimate_memory(
        plan, resolved.folder, resolved.architecture, resolved.labels, length, target, device, resolved.model_folders
    )
    free_disk = shutil.disk_usage(lab.config.home).free
    processes = plan.training.processes if device == "cpu" else 1  # each has a GPU of its own
    return MemoryEstimate(memory, machine_memory(), _disk(plan, memory), free_disk, length, target, processes)


def check(lab: LabContext, resolved: ResolvedPlan) -> dict[str, Any]:
    """The estimate; raises LabError where the run does not fit into memory or on the disk."""
    needed = estimate(lab, resolved)
    if needed.peak > needed.free:
        several = f" for its {needed.processes} processes" if needed.processes > 1 else ""
        raise LabError(
            f"The run needs about {size_text(needed.peak)} of memory{several}, and {size_text(needed.free)} are free; "
            "lower the batch size or the length, turn gradient checkpointing on, or choose a method that trains less."
        )
    if needed.disk > needed.disk_free:
        raise LabError(
            f"The run needs about {size_text(needed.disk)} of disk for its checkpoints, and "
            f"{size_text(needed.disk_free)} are free; free some space, or choose a method that trains less."
        )
    return needed.as_dict()


def time_run(lab: LabContext, resolved: ResolvedPlan) -> Duration:
    """Times two steps unless that has been done; raises LabError where they cannot be made, or do not fit into memory.

    Call it after `estimate`, from a handler that may take a minute: it loads the base in a process of its own.
    """
    check(lab, resolved)
    plan, training = resolved.plan, resolved.plan.training
    length, target = _longest_and_usual(resolved)[1]
    # What a step does not depend on is left out, so that the same steps are timed once.
    timed = replace(
        training, max_steps=1, num_train_epochs=0.0, learning_rate=None, seed=0, eval_steps=0,
        early_stopping_patience=0, processes=1, sharding="none", gradient_accumulation_steps=1,
    )  # fmt: skip
    key = replace(
        plan, training=timed, data=(DatasetSpec("none"),), models={}, split=TrainingPlan.split,
        validation_split=TrainingPlan.validation_split,
    )  # fmt: skip
    step = _step_time(
        TimingRequest(
            key.to_yaml(), str(resolved.folder), resolved.architecture, resolved.labels, length, target, resolved.device
        )
    )
    rows = _training_rows(resolved)
    steps = (
        max(1, math.ceil(training.num_train_epochs * rows / training.rows_per_step))
        if training.num_train_epochs
        else training.max_steps
    )
    evaluations = steps // training.steps_between_evaluations(steps) + 1
    objective = resolved.objective
    seconds_per_step = objective.step_seconds(plan, step)
    evaluation = objective.evaluation_seconds(plan, step, min(training.validation_rows, rows))
    read_once = objective.passes_without_learning * min(rows, steps * training.rows_per_step)
    reading = read_once / training.per_device_batch_size * step.forward
    return Duration(
        seconds=step.loading + steps * seconds_per_step + evaluations * evaluation + reading,
        seconds_per_step=seconds_per_step,
        tokens_per_second=step.tokens * training.processes / step.seconds,
        steps=steps,
        rows=rows,
        passes=steps * training.rows_per_step / rows,
    )


@lru_cache(maxsize=64)
def _step_time(request: TimingRequest) -> StepTime:
    return time_in_process(request)


def _training_rows(resolved: ResolvedPlan) -> int:
    """Rows of one pass: those of the split, less those held out where there is no split to validate on."""
    plan = resolved.plan
    validation_rows = plan.training.validation_rows // len(resolved.sources)
    return sum(
        max(1, source.splits[plan.split] - held_rows(source, plan, validation_rows)) for source in resolved.sources
    )


Lengths = tuple[tuple[int, int], tuple[int, int]]


@lru_cache(maxsize=8)
def _longest_and_usual(resolved: ResolvedPlan) -> Lengths:
    """(tokens of the longest row and its completion, of a usual batch's): of SAMPLED_ROWS rows, or what blocks have."""
    plan, objective, architecture = resolved.plan, resolved.objective, resolved.architecture
    if objective.reads_blocks:
        block = plan.training.max_length, plan.training.max_length if architecture == "encoder-decoder" else 0
        return block, block
    from genai_lab.training.loading import load_tokenizer

    steps = max(1, SAMPLED_ROWS // plan.training.rows_per_step)
    sampled = replace(plan, training=replace(plan.training, max_steps=steps, num_train_epochs=0.0))
    prepared = prepare(replace(resolved, plan=sampled), load_tokenizer(resolved.folder))
    sizes = [objective.lengths(example, architecture) for examples in prepared.train for example in examples]
    lengths, targets = zip(*sizes, strict=True)
    usual = _usual(plan, lengths)
    if architecture == "encoder-decoder":
        return (max(lengths), max(targets)), (usual, _usual(plan, targets))
    # Of a decoder's row what it learns counts, as the mean of a batch: of the one that learns most, and of all.
    most = sorted(targets)[-plan.training.per_device_batch_size :]
    return (max(lengths), math.ceil(mean(most))), (usual, round(mean(targets)))


def _usual(plan: TrainingPlan, lengths: Sequence[int]) -> int:
    """The mean width of batches: rows of similar length share one, or they come as they are."""
    ordered = sorted(lengths) if plan.training.group_by_length else list(lengths)
    size = plan.training.per_device_batch_size
    widths = [max(ordered[start : start + size]) for start in range(0, len(ordered), size)]
    return round(sum(widths) / len(widths))


def _disk(plan: TrainingPlan, memory: MemoryPlan) -> int:
    """Four checkpoints of the trained weights with two optimiser states each (three that are kept and the one being
    written), and the artefact.
    """
    trained = 4 * memory.trained
    whole_model = (
        METHODS.get(plan.method).artefact == "model" or OBJECTIVES.get(plan.objective).module_kind.whole_folder
    )
    return 12 * trained + (4 * memory.parameters if whole_model else trained)


def usual_rate(lab: LabContext, model: str, objective: str, method: str) -> float:
    """The learning rate of a run on the model whose plan gives none."""
    return default_rate(method, objective, models.show(lab, model).card.parameters)


def trained_share(lab: LabContext, model: str, objective: str, method: str) -> tuple[int, int] | None:
    """(trained, all) parameters with the method's own settings; None where the two do not suit the model."""
    from genai_lab.training.memory_estimate import estimate_memory

    try:
        card = models.show(lab, model).card
        architecture = architecture_of(card)
        learned, trained = OBJECTIVES.get(objective), METHODS.get(method)
        suits = architecture in learned.architectures and architecture in trained.architectures
        if card.path is None or not suits or exclusion_reason(objective, method) or trained.refusal():
            return None
        plan = TrainingPlan(model, (DatasetSpec("none"),), objective, method)
        memory = estimate_memory(plan, card.path, architecture, learned.sample_labels, 16, 8)
    except LabError:
        return None
    return memory.trained, memory.parameters
