"""Tasks over the small world: any number of examples; frames, names and combinations are held out by split."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from genai_lab.registry import Registry

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Example:
    """One solved example.

    `source` is the bare input (a review, a dialogue), `prompt` the instruction with the source filled in,
    `references` the accepted completions (at least one), `labels` what is known of it, such as
    {"sentiment": "positive"} or {"attribute": "rude"}.
    """

    task: str
    source: str
    prompt: str
    references: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


class Task(Protocol):
    name: str
    title: str

    def draw(self, rng: random.Random, split: Split) -> Example:
        """One example of the split, a function of the generator's state alone."""
        ...


TASKS: Registry[Task] = Registry("task", "genai_lab.starter.tasks")
