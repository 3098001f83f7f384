"""What a run will take, before it begins: memory by kind, disk; refused where it does not fit."""

import shutil
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.models.checks import size_text
from genai_lab.services.training.preparing import Known, device_of, folder_of, prepare, together
from genai_lab.training import Part, Plan
from genai_lab.training.batches import longest
from genai_lab.training.memory import GPUS, MemoryPlan, machine_memory
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES, Item
from genai_lab.training.rates import default_rate

LOOKED_AT = 400


@dataclass(frozen=True)
class Estimate:
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


def estimate(lab: Lab, plan: Plan, found: Known) -> Estimate:
    """From the longest of some rows; raises LabError where the data cannot be learned from."""
    length, target = _longest(lab, plan, found)
    key = plan.to_yaml()
    memory = _memory(key, str(folder_of(found)), found.architecture, found.labels, length, target)
    free_disk = shutil.disk_usage(lab.config.home).free
    many = plan.training.processes
    processes = many if many > 1 and device_of(lab) == "cpu" else 1  # a GPU each has one
    return Estimate(memory, machine_memory(), _disk(plan, memory), free_disk, length, target, processes)


def checked(lab: Lab, plan: Plan, found: Known) -> dict[str, Any]:
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
def _memory(key: str, base: str, architecture: Any, labels: tuple[str, ...], length: int, target: int) -> MemoryPlan:
    from pathlib import Path

    from genai_lab.training.foresight import foresee

    return foresee(Plan.from_yaml(key), Path(base), architecture, labels, length, target)


def _longest(lab: Lab, plan: Plan, found: Known) -> tuple[int, int]:
    """Of blocks the length that is asked for; of rows what the longest of LOOKED_AT have."""
    from dataclasses import replace

    if OBJECTIVES.get(plan.objective).needs == "text":
        return plan.training.length, plan.training.length if found.architecture == "encoder-decoder" else 0
    from genai_lab.training.loading import load_tokenizer

    few = replace(plan.training, steps=max(1, LOOKED_AT // plan.training.rows_a_step), epochs=0.0)
    made = prepare(lab, replace(plan, training=few), found, load_tokenizer(folder_of(found)))
    items: list[Item] = [item for part in made.train for item in part]
    if found.architecture == "encoder-decoder":
        return max(len(one.ids) for one in items), max(len(one.target) for one in items)
    if plan.objective == "classification":
        return max(len(one.ids) for one in items), 0
    return max(longest(one) for one in items), 0


def _disk(plan: Plan, memory: MemoryPlan) -> int:
    """Four checkpoints of the trained weights with two optimiser states each (three that are kept and the one being
    written), and the artefact.
    """
    trained = 4 * memory.trained
    whole = METHODS.get(plan.method).artefact == "model" or OBJECTIVES.get(plan.objective).head == "reward"
    return 12 * trained + (4 * memory.parameters if whole else trained)


def rate_of(lab: Lab, model: str, objective: str, method: str) -> float:
    """The learning rate of a run on the model whose plan gives none."""
    from genai_lab.services import models

    return default_rate(method, objective, models.show(lab, model).card.parameters)


def share_of(lab: Lab, model: str, objective: str, method: str) -> tuple[int, int] | None:
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
        plan = Plan(model, (Part("none"),), objective, method)
        made = _memory(plan.to_yaml(), str(card.path), architecture, labels, 16, 8)
    except LabError:
        return None
    return made.trained, made.parameters
