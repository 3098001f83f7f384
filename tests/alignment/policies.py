"""Runs of policies on random models, small enough for a test."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from genai_lab.training import Architecture, DatasetSpec, Training, TrainingPlan
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import load_tokenizer
from tests.training.models import TEXTS, Told, encoded

TRAINING = Training(
    max_steps=4, per_device_batch_size=4, max_length=48, seed=3, validation_rows=6, learning_rate=5e-3, eval_steps=2
)
SETTINGS: dict[str, Any] = {"rewards": ("-1 * length",), "max_completion_length": 8, "num_generations": 3}


def policy_run(
    base: Path, folder: Path, architecture: Architecture, objective: str = "grpo", method: str = "lora",
    training: dict[str, Any] | None = None, models: dict[str, Path] | None = None, **settings: Any,
) -> TrainingInputs:  # fmt: skip
    """A run on TEXTS as prompts, written to `folder`."""
    plan = TrainingPlan(
        "base", (DatasetSpec("texts@1"),), objective, method, objective_settings=SETTINGS | settings,
        training=replace(TRAINING, **training or {}),
    )  # fmt: skip
    tokenizer = load_tokenizer(base)
    rows = encoded(TEXTS, tokenizer, architecture, plan.training, objective, **plan.objective_settings)
    inputs = TrainingInputs(
        plan, base, "base", architecture, plan.training.max_steps, "cpu", sampled=(0, 1), models=models or {}
    )
    inputs.write(folder, [rows[4:]], rows[:4])
    return TrainingInputs.read(folder)


class Stopping(Told):
    """A reporter in whose run the process ends at a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        if done == self.step:
            raise KeyboardInterrupt
