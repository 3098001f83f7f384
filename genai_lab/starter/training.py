"""One training loop for all starters: seeded by step, so that an interrupted build goes on as if it had not stopped."""

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from genai_lab.files import atomic_write

if TYPE_CHECKING:
    import torch

SAVE_EVERY = 60.0
LOG_EVERY = 25

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Phase:
    """Part of a recipe: `steps` optimiser steps whose batches come from `batch(rng, step)`; a warm-up of 5 %."""

    name: str
    steps: int
    learning_rate: float
    batch: Callable[[random.Random, int], dict[str, "torch.Tensor"]]
    loss: Callable[[Any, dict[str, "torch.Tensor"]], "torch.Tensor"]
    evaluate_every: int = 200


class Recipe(Protocol):
    name: str
    about: str

    def tokenizer(self, seed: int) -> Any: ...

    def model(self, tokenizer: Any) -> Any: ...

    def rate_of(self, name: str, weight: Any) -> float:
        """The learning rate of this weight as a multiple of the phase's."""

    def phases(self, tokenizer: Any, seed: int, scale: float) -> list[Phase]: ...

    def evaluate(self, model: Any, tokenizer: Any) -> dict[str, float]: ...


def train(recipe: Recipe, tokenizer: Any, work: Path, *, seed: int, scale: float, progress: Progress | None) -> Any:
    """Runs the recipe's phases, from the checkpoint in `work` where there is one; returns the model.

    `scale` multiplies the number of steps. Every figure goes to `work/log.jsonl`.
    """
    import torch

    # Measured on two cores: float32 with denormal numbers flushed takes half the time of bfloat16 autocast.
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    model = recipe.model(tokenizer)
    groups: dict[float, list[Any]] = {}
    for name, weight in model.named_parameters():
        groups.setdefault(recipe.rate_of(name, weight), []).append(weight)
    optimizer = torch.optim.AdamW(
        [{"params": weights, "multiple": rate} for rate, weights in groups.items()],
        lr=1e-3,
        betas=(0.9, 0.95),
        weight_decay=0.01,
        fused=True,
    )
    phases = recipe.phases(tokenizer, seed, scale)
    total, step_count, spent = sum(phase.steps for phase in phases), 0, 0.0
    work.mkdir(parents=True, exist_ok=True)
    saved = work / "checkpoint.pt"
    if saved.exists():
        checkpoint = torch.load(saved, weights_only=True)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        step_count, spent = checkpoint["step"], checkpoint["seconds"]
    _forget(work / "log.jsonl", step_count)
    clock = _Clock(spent, step_count, total, recipe.name, work / "log.jsonl", progress)
    first = 0
    for phase in phases:
        for step in range(max(0, step_count - first), phase.steps):
            rng = random.Random(f"{recipe.name} {seed} {phase.name} {step}")
            torch.manual_seed(rng.randrange(2**31))
            loss, tokens = _step(model, optimizer, phase, step, rng)
            step_count = first + step + 1
            clock.tell(phase.name, step_count, loss, tokens)
            if step_count % phase.evaluate_every == 0 or step_count == total:
                clock.write({"step": step_count, "phase": phase.name, **_evaluated(recipe, model, tokenizer)})
            if clock.due() or step_count == total:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step_count}
                with atomic_write(saved) as draft:
                    torch.save(state | {"seconds": clock.seconds()}, draft)
        first += phase.steps
    return model.eval()


def _forget(log: Path, last_step: int) -> None:
    """Drops what an interrupted run logged after its last checkpoint; those steps are made again."""
    if log.exists():
        lines = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= last_step]
        log.write_text("".join(line + "\n" for line in lines))


def _step(model: Any, optimizer: Any, phase: Phase, step: int, rng: random.Random) -> tuple[float, int]:
    import torch

    warm = min(1.0, (step + 1) / max(1, phase.steps * 0.05))
    rate = phase.learning_rate * warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / phase.steps)))
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiple"]
    batch = phase.batch(rng, step)
    model.train()
    loss = phase.loss(model, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach()), int(batch["attention_mask"].sum())


def _evaluated(recipe: Recipe, model: Any, tokenizer: Any) -> dict[str, float]:
    model.eval()
    return recipe.evaluate(model, tokenizer)


class _Clock:
    """Writes the log, tells the time left and says when the next checkpoint is due."""

    def __init__(
        self, spent: float, first_step: int, total: int, name: str, log: Path, progress: Progress | None
    ) -> None:
        self._spent, self._done, self._total, self._name = spent, first_step, total, name
        self._log, self._progress = log, progress
        self._began = self._saved = time.perf_counter()
        self._tokens = 0

    def seconds(self) -> float:
        return self._spent + time.perf_counter() - self._began

    def due(self) -> bool:
        if time.perf_counter() - self._saved < SAVE_EVERY:
            return False
        self._saved = time.perf_counter()
        return True

    def write(self, figures: dict[str, Any]) -> None:
        with self._log.open("a") as stream:
            stream.write(json.dumps({"seconds": round(self.seconds(), 1), **figures}) + "\n")

    def tell(self, phase: str, step: int, loss: float, tokens: int) -> None:
        self._tokens += tokens
        if step % LOG_EVERY:
            return
        here = time.perf_counter() - self._began
        speed = self._tokens / here
        self.write({"step": step, "phase": phase, "loss": round(loss, 4), "tokens_per_second": round(speed)})
        if self._progress:
            seconds_left = here / max(1, step - self._done) * (self._total - step)
            speed_text = f"loss {loss:.3f}, {speed:,.0f} tokens/s, {seconds_left / 60:.1f} min left"
            self._progress(f"{self._name}: {phase} {step}/{self._total}, {speed_text}")
