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
from genai_lab.training import Architecture, TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

TIMED = 2
PATIENCE = 600.0


@dataclass(frozen=True)
class StepTime:
    """Of one batch: `seconds` forwards, backwards and of the optimiser, `forward` of these forwards alone, and the
    tokens that it reads. `loading` are the seconds until the module is there, `writing` those of the completions of a
    step, which are as long as they may be.
    """

    seconds: float
    tokens: int
    forward: float
    loading: float
    writing: float = 0.0


@dataclass(frozen=True)
class TimingRequest:
    """What is timed: the plan, its base and labels, and the tokens of a usual row and of its completion."""

    plan: str
    base: str
    architecture: Architecture
    labels: tuple[str, ...]
    length: int
    target: int
    device: str


def time_in_process(request: TimingRequest) -> StepTime:
    """Raises LabError where the steps cannot be made in PATIENCE seconds or at all."""
    command = [sys.executable, "-m", "genai_lab.training.step_timing", json.dumps(asdict(request))]
    environment = {"GLIBC_TUNABLES": TUNABLES}
    try:
        process = subprocess.run(
            command, env=_environment() | environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"Two steps took more than {PATIENCE / 60:.0f} minutes; the run would take very long.") from None
    try:
        result = json.loads(process.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise LabError("The steps could not be timed: their process ended, probably for want of memory.") from None
    if "error" in result:
        raise LabError(f"The steps could not be timed: {result['error']}")
    return StepTime(**result)


def time_steps(request: TimingRequest) -> StepTime:
    """In this process: the faster of TIMED steps after one that warms up."""
    import torch

    from genai_lab.training.loading import load_module
    from genai_lab.training.memory import batch_of, fields_of, learned_token_loss, token_loss

    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    began = time.perf_counter()
    plan = TrainingPlan.from_yaml(request.plan)
    method, objective = METHODS.get(plan.method), OBJECTIVES.get(plan.objective)
    kind, training = objective.module_kind, plan.training
    module = load_module(Path(request.base), request.architecture, kind, request.labels, **method.load_arguments())
    settings: Any = read_settings(method.settings, plan.method_settings, method.title)
    module = method.apply(module, request.architecture, settings, training.max_steps).to(request.device).train()
    if training.gradient_checkpointing:
        module.activation_checkpointing_enable({"use_reentrant": False})
    loading = time.perf_counter() - began
    optimiser = torch.optim.AdamW([weight for weight in module.parameters() if weight.requires_grad], lr=1e-6)
    family = kind.memory_family(request.architecture)
    rows = objective.forward_rows(plan)
    length, target = objective.lengths_in_step(request.length, request.target, plan, request.architecture)
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(training.precision)
    seconds, forward, tokens = [], [], 0
    for _ in range(1 + TIMED):
        batch = batch_of(family, rows, length, target)
        tokens = sum(batch[name].numel() for name in ("input_ids", "decoder_input_ids") if name in batch)
        batch = {name: tensor.to(request.device) for name, tensor in batch.items()}
        began = time.perf_counter()
        with torch.autocast(request.device, dtype or torch.bfloat16, enabled=dtype is not None):
            if objective.only_learned_logits:
                loss = learned_token_loss(module, batch)
            else:
                loss = token_loss(module(**fields_of(batch)), batch)
        forward.append(time.perf_counter() - began)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if request.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return StepTime(min(seconds[1:]), tokens, min(forward[1:]), loading, _writing_time(module, request, plan))


def _writing_time(module: Any, request: TimingRequest, plan: TrainingPlan) -> float:
    """Seconds in which the module writes the completions of one step."""
    objective = OBJECTIVES.get(plan.objective)
    if not (rows := objective.rows_written(plan)):
        return 0.0
    from genai_lab.alignment.rollouts import Sampling, generator, network_of, sample

    longest = objective.lengths_in_step(request.length, request.target, plan, request.architecture)[1]
    prompts = [[index % 50 + 1 for index in range(request.length)] for _ in range(rows)]
    network = network_of(module.eval())
    began = time.perf_counter()
    sample(network, prompts, [generator(0, 1, row) for row in range(rows)], Sampling(longest), frozenset(), 0)
    return time.perf_counter() - began


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def main(arguments: Sequence[str]) -> int:
    values: dict[str, Any] = json.loads(arguments[0])
    try:
        result: dict[str, Any] = asdict(time_steps(TimingRequest(**values | {"labels": tuple(values["labels"])})))
    except LabError as problem:
        result = {"error": str(problem)}
    except Exception as problem:
        result = {"error": f"{type(problem).__name__}: {str(problem).splitlines()[0][:200] if str(problem) else ''}."}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
