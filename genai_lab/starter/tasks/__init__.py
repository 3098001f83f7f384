"""Tasks over the small world, one a file."""

from genai_lab.starter.tasks.base import TASKS, Example, Split, Task

__all__ = ["TASKS", "Example", "Split", "Task"]
