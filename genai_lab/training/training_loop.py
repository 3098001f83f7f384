"""The loop that objectives and methods share: transformers' Trainer with our order, loss, evaluation and checkpoints.

Objectives on pairs have TRL's trainers in its place (`preferences`). The two newest checkpoints and the best are kept.
"""

import json
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_pt_utils import safe_globals

from genai_lab import memory
from genai_lab.training import IGNORED, Reporter
from genai_lab.training.batches import Draws, validation_draws
from genai_lab.training.completion_scores import summary
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.lab_trainer import STATE, TRAINED, Running, arguments, checkpoints, step_of
from genai_lab.training.lab_trainer import Diverged as Diverged
from genai_lab.training.loading import ends_of, load_module, load_tokenizer

KINDS = ("*.pt", "*.pth")


class Loop(Running, Trainer):
    """A run that learns tokens or classes."""

    def __init__(
        self, work: TrainingInputs, module: Any, tokenizer: Any, draws: Draws, held: Draws, out: Path, tell: Reporter
    ) -> None:
        super().__init__(
            work, module, tokenizer, draws, held, out, tell, args=arguments(work, out), compute_loss_func=self.loss_of
        )
        # Our labels stand at the place that predicts them already.
        self._loss_shifts_labels = False

    def loss_of(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        """Cross-entropy summed over learned tokens and divided by how many all processes have in this step."""
        logits = _aligned(outputs.logits, labels)
        count = num_items_in_batch if num_items_in_batch is not None else (labels != IGNORED).sum()
        loss = cross_entropy(logits.float(), labels.view(-1), ignore_index=IGNORED, reduction="sum") / count
        penalty = self.method.penalty(self.model) if self.model.training else None
        return loss if penalty is None else loss + penalty / self.args.gradient_accumulation_steps

    def measured(self) -> dict[str, float]:
        """Loss in nats a learned token over all validation items, and the share that is predicted first.

        That is the accuracy of a classifier's classes; of tokens the end is left out, which every model learns first.
        """
        classes = self.work.objective.head == "classify"
        ends = [] if classes else sorted(ends_of(self.accelerator.unwrap_model(self.model), self.tokenizer))
        total, right, count, learned = 0.0, 0, 0, 0
        for inputs in self.held_batches():
            labels = inputs.pop("labels")
            logits = _aligned(self.model(**inputs).logits, labels).float()
            flat = labels.view(-1)
            total += float(cross_entropy(logits, flat, ignore_index=IGNORED, reduction="sum"))
            learned += int((flat != IGNORED).sum())
            asked = (flat != IGNORED) & ~torch.isin(flat, torch.tensor(ends, device=flat.device, dtype=flat.dtype))
            right += int(((logits.argmax(-1) == flat) & asked).sum())
            count += int(asked.sum())
        name = "accuracy" if classes else "token accuracy"
        return {"loss": total / max(1, learned), name: right / max(1, count)}


def _aligned(logits: Any, labels: Any) -> Any:
    """(N, V) logits of the places that the labels stand for; virtual tokens before the prompt have none."""
    if labels.dim() == 1:
        return logits
    return logits[:, -labels.shape[1] :].reshape(-1, logits.shape[-1])


def loop_of(work: TrainingInputs) -> type[Running]:
    """The trainer that the objective asks for."""
    if work.objective.needs != "pairs":
        return Loop
    from genai_lab.training.preferences import DpoLoop, RewardLoop

    return RewardLoop if work.objective.head == "reward" else DpoLoop


def readable(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint is there and whole."""
    try:
        for path in checkpoint.glob("*.safetensors"):
            load_file(path)
        for path in (path for kind in KINDS for path in checkpoint.glob(kind)):
            with safe_globals():
                torch.load(path, weights_only=True, mmap=False)
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text())
    except (OSError, SafetensorError, ValueError, RuntimeError, EOFError, KeyError, UnpicklingError):
        return False
    return all(any(checkpoint.glob(name)) for name in (TRAINED, "optimizer.pt", "scheduler.pt", "rng_state*"))


def resume(module: Any, method: Any, checkpoint: Path) -> None:
    """Puts the trained tensors of a checkpoint into the module."""
    kept = load_file(checkpoint / TRAINED)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name in kept:
                weight.copy_(kept[name])
    if (checkpoint / STATE).is_file():
        method.restore(module, load_file(checkpoint / STATE))


def prepared(work: TrainingInputs, folder: Path) -> tuple[Any, Any, Draws, Draws]:
    """(module with the method applied, tokenizer, training draws, validation draws)."""
    objective, method = work.objective, work.method
    torch.manual_seed(work.training.seed)
    module = load_module(work.base, work.architecture, objective.head, work.labels, **method.loading())
    module = method.apply(module, work.architecture, work.method_settings, work.steps)
    tokenizer = load_tokenizer(work.base)
    train, held = work.items(folder)
    return (
        module,
        tokenizer,
        work.draws(train, tokenizer),
        validation_draws(held, objective, work.objective_settings, tokenizer, work.architecture),
    )


def train(work: TrainingInputs, folder: Path, out: Path, tell: Reporter) -> dict[str, Any]:
    """Trains from the last good checkpoint in `out`, or from the beginning; returns what came of it.

    Raises Diverged where the loss is no number any more; what was kept until then stays.
    """
    # Denormal numbers cost a CPU ten times as much and change nothing.
    torch.set_flush_denormal(True)
    peak, began = Peak(), time.perf_counter()
    tell.progress(0, work.steps, "Loading the base")
    module, tokenizer, draws, held = prepared(work, folder)
    trained = sum(weight.numel() for weight in module.parameters() if weight.requires_grad)
    last = last_whole(out, tell)
    loop: Any = loop_of(work)(work, module, tokenizer, draws, held, out, tell)
    if last is not None:
        resume(module, work.method, last)
    if loop.sharded:
        loop.shard()
    if last is not None and over(last):
        loop.state = TrainerState.load_from_json(str(last / TRAINER_STATE_NAME))
    else:
        loop.train(resume_from_checkpoint=str(last) if last is not None else None)
    seconds = time.perf_counter() - began
    found = reached(loop.state) | {
        "seconds": seconds,
        "tokens": loop.tokens * loop.args.world_size,
        "peak": peak.bytes(),
        "process": peak.before,
    }
    found |= {"stopped_early": loop.state.global_step < work.steps, "trained": trained, **loop.sizes()}
    if loop.is_world_process_zero():
        found |= summary(out, loop.state.best_global_step)
        for note in filter(None, (worse(loop.state), worse_at_task(found))):
            tell.record({"key": note, "note": note})
        tell.record({"key": f"outcome {loop.state.global_step}", "outcome": found})
    return found


def reached(state: TrainerState) -> dict[str, Any]:
    """How far a run has come."""
    return {"steps": state.global_step, "best_step": state.best_global_step, "best_loss": state.best_metric}


def worse(state: TrainerState) -> str:
    """What to say of a run that has nothing better than its base; "" for others."""
    first = next((one["eval_loss"] for one in state.log_history if one.get("step") == 0 and "eval_loss" in one), None)
    best = state.best_metric
    if first is None or best is None or best <= first:
        return ""
    return (
        f"The best validation loss ({best:.4g}, step {state.best_global_step}) is above that of the base "
        f"({first:.4g}), so that this run has made the model worse; lower the learning rate."
    )


def worse_at_task(outcome: dict[str, Any]) -> str:
    """What to say of a run whose completions a test finds worse than the base's; "" for others."""
    if not outcome.get("score", {}).get("worse"):
        return ""
    return (
        "This run has made the model worse at its task, whatever the loss says; lower the learning rate, train for "
        "fewer steps, or look at the first batch."
    )


def last_whole(out: Path, tell: Reporter) -> Path | None:
    """The newest checkpoint that can be read; torn ones are told and put out of the way."""
    for checkpoint in checkpoints(out):
        if readable(checkpoint):
            return checkpoint
        torn = checkpoint.with_name(f"torn-{checkpoint.name}")
        if checkpoint.exists():
            checkpoint.rename(torn)
        text = f"The checkpoint of step {step_of(checkpoint)} is torn and is left out."
        tell.record({"key": f"torn {checkpoint.name}", "note": text})
    return None


def over(checkpoint: Path) -> bool:
    """Whether the run had come to its end there, by its steps or its patience."""
    kept = json.loads((checkpoint / TRAINER_STATE_NAME).read_text())["stateful_callbacks"]["TrainerControl"]
    return bool(kept["args"]["should_training_stop"])


def progress_of(out: Path) -> dict[str, Any]:
    """How far the run in `out` had come at its newest whole checkpoint (see `reached`)."""
    newest = next(one for one in checkpoints(out) if readable(one))
    return reached(TrainerState.load_from_json(str(newest / TRAINER_STATE_NAME)))


def best_of(out: Path) -> Path | None:
    """The whole checkpoint with the lowest validation loss, else the newest whole one."""
    found = [one for one in checkpoints(out) if readable(one)]
    if not found:
        return None
    best = json.loads((found[0] / TRAINER_STATE_NAME).read_text()).get("best_global_step")
    return next((one for one in found if step_of(one) == best), found[0])


class Peak:
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
