"""How long a step takes: two steps timed on random tokens, in a process of its own, before the run begins."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError
from genai_lab.glibc_heap import TUNABLES
from genai_lab.settings import read_settings
from genai_lab.training import Architecture, Plan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

TIMED = 2
PATIENCE = 600.0


@dataclass(frozen=True)
class StepTime:
    """Of one batch, forwards, backwards and the optimiser: seconds, and the tokens that it reads."""

    seconds: float
    tokens: int


@dataclass(frozen=True)
class Timed:
    """What is timed: the plan, its base and labels, and the tokens of a usual row and of its completion."""

    plan: str
    base: str
    architecture: Architecture
    labels: tuple[str, ...]
    length: int
    target: int
    device: str


def timed(order: Timed) -> StepTime:
    """Raises LabError where the steps cannot be made in PATIENCE seconds or at all."""
    words = [sys.executable, "-m", "genai_lab.training.step_timing", json.dumps(asdict(order))]
    environment = {"GLIBC_TUNABLES": TUNABLES}
    try:
        done = subprocess.run(
            words, env=_environment() | environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"Two steps took more than {PATIENCE / 60:.0f} minutes; the run would take very long.") from None
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise LabError("The steps could not be timed: their process ended, probably for want of memory.") from None
    if "error" in found:
        raise LabError(f"The steps could not be timed: {found['error']}")
    return StepTime(**found)


def time_steps(order: Timed) -> StepTime:
    """In this process: the faster of TIMED steps after one that warms up."""
    import torch

    from genai_lab.training.loading import load_module
    from genai_lab.training.memory import batch_of, token_loss

    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    plan = Plan.from_yaml(order.plan)
    method, objective = METHODS.get(plan.method), OBJECTIVES.get(plan.objective)
    head, training = objective.head, plan.training
    module = load_module(Path(order.base), order.architecture, head, order.labels, **method.loading())
    settings: Any = read_settings(method.settings, plan.method_settings, method.title)
    module = method.apply(module, order.architecture, settings, training.max_steps).to(order.device).train()
    if training.gradient_checkpointing:
        module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimiser = torch.optim.AdamW([weight for weight in module.parameters() if weight.requires_grad], lr=1e-6)
    family = {"classify": "classifier", "masked": "masked", "reward": "reward"}.get(head, order.architecture)
    rows = training.per_device_batch_size * (2 if objective.needs == "pairs" else 1)
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(training.precision)
    seconds, tokens = [], 0
    for _ in range(1 + TIMED):
        batch = batch_of(family, rows, order.length, order.target)
        tokens = sum(batch[name].numel() for name in ("input_ids", "decoder_input_ids") if name in batch)
        batch = {name: one.to(order.device) for name, one in batch.items()}
        began = time.perf_counter()
        with torch.autocast(order.device, dtype or torch.bfloat16, enabled=dtype is not None):
            loss = token_loss(module(**{name: one for name, one in batch.items() if name != "labels"}), batch)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if order.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return StepTime(min(seconds[1:]), tokens)


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def main(words: Sequence[str]) -> int:
    kept: dict[str, Any] = json.loads(words[0])
    try:
        found: dict[str, Any] = asdict(time_steps(Timed(**kept | {"labels": tuple(kept["labels"])})))
    except LabError as problem:
        found = {"error": str(problem)}
    except Exception as problem:
        found = {"error": f"{type(problem).__name__}: {str(problem).splitlines()[0][:200] if str(problem) else ''}."}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
