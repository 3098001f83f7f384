"""A run from its inputs to its outcome: loaded, resumed where it stopped, trained; and its checkpoints.

The two newest checkpoints and the best are kept.
"""

import json
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_pt_utils import safe_globals

from genai_lab import memory
from genai_lab.training.batches import validation_dataset
from genai_lab.training.completion_scores import summary
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.lab_trainer import STATE, TRAINED, TrainingSetup, best_metric_of, checkpoints, step_of
from genai_lab.training.lab_trainer import Diverged as Diverged
from genai_lab.training.loading import load_module, load_tokenizer, start_of
from genai_lab.training.reporter import Reporter

PICKLED = ("*.pt", "*.pth")


def readable(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint exists and is complete."""
    try:
        for path in checkpoint.glob("*.safetensors"):
            load_file(path)
        for path in (path for pattern in PICKLED for path in checkpoint.glob(pattern)):
            with safe_globals():
                torch.load(path, weights_only=True, mmap=False)
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text())
    except (OSError, SafetensorError, ValueError, RuntimeError, EOFError, KeyError, UnpicklingError):
        return False
    return all(any(checkpoint.glob(name)) for name in (TRAINED, "optimizer.pt", "scheduler.pt", "rng_state*"))


def resume(module: Any, method: Any, checkpoint: Path) -> None:
    """Puts the trained tensors of a checkpoint into the module."""
    tensors = load_file(checkpoint / TRAINED)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name in tensors:
                weight.copy_(tensors[name])
    if (checkpoint / STATE).is_file():
        method.restore(module, load_file(checkpoint / STATE))


def load_with_method(inputs: TrainingInputs) -> Any:
    """The base with the method applied, before the first step."""
    objective, method = inputs.objective, inputs.method
    torch.manual_seed(inputs.training.seed)
    module = load_module(
        inputs.base, inputs.architecture, objective.module_kind, inputs.labels, **method.load_arguments()
    )
    return method.apply(module, inputs.architecture, inputs.method_settings, inputs.steps)


def prepare_run(inputs: TrainingInputs, folder: Path, out: Path, reporter: Reporter) -> TrainingSetup:
    """Loads everything that the run's trainer is made of."""
    module, tokenizer = load_with_method(inputs), load_tokenizer(inputs.base)
    context = inputs.encoding(tokenizer, start_of(module.config))
    train, validation = inputs.examples(folder)
    return TrainingSetup(
        inputs,
        module,
        tokenizer,
        inputs.dataset(train, context),
        validation_dataset(validation, inputs.objective, context),
        out,
        reporter,
    )


def train(inputs: TrainingInputs, folder: Path, out: Path, reporter: Reporter) -> dict[str, Any]:
    """Trains from the last good checkpoint in `out`, or from the beginning; returns the outcome.

    Raises Diverged where the loss is no longer a number; the checkpoints until then stay.
    """
    # Denormal numbers cost a CPU ten times as much and change nothing.
    torch.set_flush_denormal(True)
    peak, began = PeakMemory(), time.perf_counter()
    reporter.progress(0, inputs.steps, "Loading the base")
    setup = prepare_run(inputs, folder, out, reporter)
    trained = sum(weight.numel() for weight in setup.module.parameters() if weight.requires_grad)
    checkpoint = last_readable(out, reporter)
    trainer: Any = inputs.objective.trainer(inputs.architecture)(setup)
    if checkpoint is not None:
        resume(setup.module, inputs.method, checkpoint)
    if trainer.sharded:
        trainer.shard()
    if checkpoint is not None and has_ended(checkpoint):
        trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
    outcome = progress_reached(trainer.state) | {
        "seconds": time.perf_counter() - began,
        "tokens": trainer.tokens * trainer.args.world_size,
        "peak": peak.bytes(),
        "process": peak.before,
        "stopped_early": trainer.state.global_step < inputs.steps,
        "trained": trained,
        **trainer.parameter_counts(),
    }
    if trainer.is_world_process_zero():
        outcome |= summary(out, trainer.state.best_global_step)
        for note in filter(None, (note_of_worse(trainer.state, inputs.objective), note_of_worse_task(outcome))):
            reporter.record({"key": note, "note": note})
        reporter.record({"key": f"outcome {trainer.state.global_step}", "outcome": outcome})
    return outcome


def progress_reached(state: TrainerState) -> dict[str, Any]:
    """How far a run has come. `best_loss` is the figure by which its objective chooses the best checkpoint."""
    return {"steps": state.global_step, "best_step": state.best_global_step, "best_loss": state.best_metric}


def note_of_worse(state: TrainerState, objective: Any) -> str:
    """A note on a run whose best checkpoint is worse than its base; "" for others."""
    metric = best_metric_of(objective)
    first = next((entry[metric] for entry in state.log_history if entry.get("step") == 0 and metric in entry), None)
    best, sign = state.best_metric, 1 if objective.greater_is_better else -1
    if first is None or best is None or sign * best >= sign * first:
        return ""
    side = "below" if objective.greater_is_better else "above"
    return (
        f"The best validation {objective.best_figure} ({best:.4g}, step {state.best_global_step}) is {side} that of "
        f"the base ({first:.4g}), so that this run has made the model worse; lower the learning rate."
    )


def note_of_worse_task(outcome: dict[str, Any]) -> str:
    """A note on a run whose completions a test finds worse than the base's; "" for others."""
    if not outcome.get("score", {}).get("worse"):
        return ""
    return (
        "This run has made the model worse at its task, whatever the loss says; lower the learning rate, train for "
        "fewer steps, or look at the first batch."
    )


def last_readable(out: Path, reporter: Reporter) -> Path | None:
    """The newest checkpoint that can be read; torn ones are reported and renamed."""
    for checkpoint in checkpoints(out):
        if readable(checkpoint):
            return checkpoint
        torn = checkpoint.with_name(f"torn-{checkpoint.name}")
        if checkpoint.exists():
            checkpoint.rename(torn)
        text = f"The checkpoint of step {step_of(checkpoint)} is torn and is left out."
        reporter.record({"key": f"torn {checkpoint.name}", "note": text})
    return None


def has_ended(checkpoint: Path) -> bool:
    """Whether the run had come to its end there, by its steps or its patience."""
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text())
    return bool(state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"])


def progress_of(out: Path) -> dict[str, Any]:
    """How far the run in `out` had come at its newest readable checkpoint (see `reached`)."""
    newest = next(checkpoint for checkpoint in checkpoints(out) if readable(checkpoint))
    return progress_reached(TrainerState.load_from_json(str(newest / TRAINER_STATE_NAME)))


def best_checkpoint(out: Path) -> Path | None:
    """The readable checkpoint that the run's objective found best, else the newest readable one."""
    candidates = [checkpoint for checkpoint in checkpoints(out) if readable(checkpoint)]
    if not candidates:
        return None
    best = json.loads((candidates[0] / TRAINER_STATE_NAME).read_text()).get("best_global_step")
    return next((checkpoint for checkpoint in candidates if step_of(checkpoint) == best), candidates[0])


class PeakMemory:
    """The most memory since it was made, in bytes: on the CPU of the whole process, on a GPU of its tensors."""

    def __init__(self) -> None:
        self.before = memory.resident()
        memory.forget_peak()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def bytes(self) -> int:
        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated())
        return memory.peak()
