"""The memory that a run will take, foreseen from its plan and the size of its largest batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.settings import read_settings
from genai_lab.training import Architecture, Plan
from genai_lab.training.batches import Draws
from genai_lab.training.batches import longest as longer
from genai_lab.training.loading import SAFE, class_of, head_settings
from genai_lab.training.memory import MemoryPlan, batch_of, plan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

LOOKED_AT = 500_000


def foresee(
    asked: Plan,
    base: Path,
    architecture: Architecture,
    labels: Sequence[str],
    length: int,
    target: int,
    device: str = "cpu",
) -> MemoryPlan:
    """`length` and `target` are the tokens of the longest prompt (or block) and completion in a batch.

    Of pairs both sides are read in one batch. On the CPU the peak is of the whole process, on a GPU of its memory.
    """
    method, objective = METHODS.get(asked.method), OBJECTIVES.get(asked.objective)
    head, sides = objective.head, 2 if objective.needs == "pairs" else 1
    settings: Any = read_settings(method.settings, asked.method_settings, method.title)
    family = {"classify": "classifier", "masked": "masked", "reward": "reward"}.get(head, architecture)
    more = {name: value for name, value in head_settings(head, labels).items() if name != "ignore_mismatched_sizes"}

    def build() -> Any:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(base, **SAFE, **more)
        config.use_cache = False
        if head == "reward":
            config.pad_token_id = 0  # some bases lack one, and the score is read at the last token beside it
        module = class_of(architecture, head).from_config(config)
        return method.apply(module, architecture, settings, asked.training.max_steps)

    found = plan(
        build,
        lambda: batch_of(family, sides * asked.training.per_device_batch_size, length, target),
        gradient_checkpointing=asked.training.gradient_checkpointing,
        autocast={"bfloat16": "bfloat16", "float16": "float16"}.get(asked.training.precision),
    )
    return found.of_a_process() if device == "cpu" else found


def longest(draws: Draws, batch: int) -> tuple[int, int]:
    """(length, target) of the batch that takes most of the first LOOKED_AT draws, in tokens."""
    best, found = 0, (1, 1)
    for start in range(0, min(len(draws.places), LOOKED_AT), batch):
        items = [draws.items[part][item] for part, item in draws.places[start : start + batch]]
        pair, rows = draws.architecture == "encoder-decoder", draws.objective.needs in ("reference", "pairs")
        width = max(longer(one) if rows and not pair else len(one.ids) for one in items)
        target = (max(len(one.target) for one in items) or width) if pair else 0
        # Attention grows with the square, so that the widest batch counts and not the one of most tokens.
        size = width * width + target * target + 64 * (width + target)
        if size > best:
            best, found = size, (width, target)
    return found
