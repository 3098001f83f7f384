"""The loop that all objectives and methods share: transformers' Trainer with our order, loss, evaluation, checkpoints.

A checkpoint holds the trained tensors alone, with what the optimiser and the random numbers need to go on; two of them
and the best one are kept.
"""

import json
import math
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import EarlyStoppingCallback, PrinterCallback

from genai_lab.errors import LabError
from genai_lab.training import IGNORED, Tell
from genai_lab.training.batches import Collate, Draws, training_draws, validation_draws
from genai_lab.training.loading import load_module, load_tokenizer, start_of
from genai_lab.training.samples import samples
from genai_lab.training.work import Work

TRAINED = "trained.safetensors"
STATE = "method.safetensors"
KEPT = 2
POINTS = 500


class Diverged(LabError):
    """The loss or a weight is no number any more."""

    def __init__(self, what: str, step: int, rate: float, kept: int | None) -> None:
        where = f"; the checkpoint of step {kept} is kept" if kept else ""
        likely = "a learning rate that is too high" if rate > 1e-4 else "numbers too large for the precision"
        super().__init__(
            f"The {what} is no number any more at step {step} (learning rate {rate:.2g}){where}. The likely cause is "
            f"{likely}: lower it, clip the gradient, or train in float32."
        )


class Loop(Trainer):
    """One run; what it draws is decided before it begins."""

    model: Any

    def __init__(
        self, work: Work, module: Any, tokenizer: Any, draws: Draws, held: Draws, out: Path, tell: Tell
    ) -> None:
        self.work, self.tell, self.tokenizer, self.held, self.out = work, tell, tokenizer, held, out
        self.method, self.tokens, self.began = work.method, 0, time.perf_counter()
        self.trained = [name for name, weight in module.named_parameters() if weight.requires_grad]
        self.collate = Collate(tokenizer.pad_token_id, work.architecture, work.objective.head, start_of(module.config))
        super().__init__(
            model=module,
            args=arguments(work, out),
            train_dataset=draws,  # type: ignore[arg-type]
            eval_dataset=held,  # type: ignore[arg-type]
            data_collator=self.collate,
            compute_loss_func=self.loss_of,
            callbacks=[_Reporter(self), *_stopping(work)],
        )
        self.pop_callback(PrinterCallback)
        # Our labels stand at the place that predicts them already.
        self._loss_shifts_labels = False

    def loss_of(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        """Cross-entropy summed over learned tokens and divided by how many all processes have in this step."""
        logits = _aligned(outputs.logits, labels)
        count = num_items_in_batch if num_items_in_batch is not None else (labels != IGNORED).sum()
        loss = cross_entropy(logits.float(), labels.view(-1), ignore_index=IGNORED, reduction="sum") / count
        penalty = self.method.penalty(self.model) if self.model.training else None
        return loss if penalty is None else loss + penalty / self.args.gradient_accumulation_steps

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        self.tokens += int(inputs["attention_mask"].sum())
        if "decoder_input_ids" in inputs:
            self.tokens += int((inputs["labels"] != IGNORED).sum())
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise Diverged("loss", self.state.global_step + 1, self._get_learning_rate(), self.last_good())
        return loss

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
        """Loss in nats a learned token over all validation items, and the share of them predicted first."""
        self.model.eval()
        total, right, count = 0.0, 0, 0
        with torch.no_grad(), self.compute_loss_context_manager():
            for inputs in self.held_batches():
                labels = inputs.pop("labels")
                logits = _aligned(self.model(**inputs).logits, labels).float()
                flat = labels.view(-1)
                total += float(cross_entropy(logits, flat, ignore_index=IGNORED, reduction="sum"))
                right += int(((logits.argmax(-1) == flat) & (flat != IGNORED)).sum())
                count += int((flat != IGNORED).sum())
        loss = total / max(1, count)
        if not math.isfinite(loss):
            raise Diverged("validation loss", self.state.global_step, self._get_learning_rate(), self.last_good())
        found = {"eval_loss": loss, "eval_accuracy": right / max(1, count)}
        step = self.state.global_step
        if self.is_world_process_zero():
            self.tell.metric("validation loss", step, loss)
            self.tell.metric("validation accuracy", step, found["eval_accuracy"])
            if not self.is_fsdp_enabled:
                for item in samples(self.work, self.model, self.tokenizer, self.held, self.collate):
                    self.tell.record({"key": f"sample {step} {item['place']}", "sample": item | {"step": step}})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def held_batches(self) -> Any:
        size = self.args.per_device_train_batch_size
        for start in range(0, len(self.held), size):
            rows = [self.held[place] for place in range(start, min(start + size, len(self.held)))]
            yield self._prepare_inputs(self.collate(rows))

    def last_good(self) -> int | None:
        found = checkpoints(self.out)
        return step_of(found[0]) if found else None

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir) if output_dir else self.out
        folder.mkdir(parents=True, exist_ok=True)
        source = state_dict if state_dict is not None else dict(self.model.named_parameters())
        kept = {name: source[name].detach().contiguous().cpu() for name in self.trained}
        for name, tensor in kept.items():
            if not torch.isfinite(tensor).all():
                raise Diverged(f"weight {name}", self.state.global_step, self._get_learning_rate(), self.last_good())
        save_file(kept, folder / TRAINED)
        if state := self.method.state(self.model):
            save_file({name: value.contiguous().clone() for name, value in state.items()}, folder / STATE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The trained tensors are put back before the module is wrapped; see `resume`."""


def _aligned(logits: Any, labels: Any) -> Any:
    """(N, V) logits of the places that the labels stand for; virtual tokens before the prompt have none."""
    if labels.dim() == 1:
        return logits
    return logits[:, -labels.shape[1] :].reshape(-1, logits.shape[-1])


class _Reporter(TrainerCallback):
    """Curves, progress, and the method's own work after a step."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.since, self.tokens = time.perf_counter(), 0

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.loop.method.after_step(self.loop.accelerator.unwrap_model(self.loop.model), state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.loop.tell.progress(
                state.global_step, state.max_steps, f"step {state.global_step:,} of {state.max_steps:,}"
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        now = time.perf_counter()
        tokens = (self.loop.tokens - self.tokens) * args.world_size
        tell, step = self.loop.tell, state.global_step
        tell.metric("training loss", step, float(logs["loss"]))
        tell.metric("learning rate", step, float(logs["learning_rate"]))
        if "grad_norm" in logs:
            tell.metric("gradient norm", step, float(logs["grad_norm"]))
        tell.metric("tokens per second", step, tokens / max(1e-9, now - self.since))
        tell.metric("memory", step, memory_now())
        self.since, self.tokens = now, self.loop.tokens

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.since, self.tokens = time.perf_counter(), self.loop.tokens

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.since = time.perf_counter()
        if state.is_world_process_zero:
            best = state.best_global_step or state.global_step
            self.loop.tell.record(
                {"key": f"checkpoint {state.global_step}", "checkpoint": state.global_step, "best": best}
            )


def _stopping(work: Work) -> list[Any]:
    return [EarlyStoppingCallback(work.training.patience)] if work.training.patience else []


def memory_now() -> float:
    """Bytes that this process holds, on the GPU where there is one."""
    if torch.cuda.is_available():
        return float(torch.cuda.memory_allocated())
    import psutil

    return float(psutil.Process().memory_info().rss)


def arguments(work: Work, out: Path) -> TrainingArguments:
    """The plan in Trainer's words."""
    plan, cpu = work.training, work.device == "cpu"
    every = plan.every(work.steps)
    sharded = {"none": "", "gradients": "shard_grad_op", "weights": "full_shard"}[plan.sharding]
    return TrainingArguments(
        output_dir=str(out),
        max_steps=work.steps,
        per_device_train_batch_size=plan.batch,
        gradient_accumulation_steps=plan.accumulation,
        learning_rate=work.rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(plan.schedule, plan.schedule),
        warmup_steps=round(plan.warmup * work.steps),
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.clip,
        bf16=plan.precision == "bfloat16",
        fp16=plan.precision == "float16",
        activation_checkpointing=plan.checkpointing,
        seed=plan.seed,
        data_seed=plan.seed,
        train_sampling_strategy="sequential",
        use_cpu=cpu,
        ddp_backend="gloo" if cpu and plan.processes > 1 else None,
        fsdp=sharded or None,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=KEPT,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=max(1, work.steps // POINTS),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=0,
        dataloader_pin_memory=not cpu,
        log_level="error",
    )


def checkpoints(out: Path) -> list[Path]:
    """Those there are, newest first, torn ones too."""
    return sorted(out.glob("checkpoint-*"), key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def readable(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint is whole."""
    try:
        load_file(checkpoint / TRAINED)
        json.loads((checkpoint / "trainer_state.json").read_text())
        for name in ("optimizer.pt", "scheduler.pt"):
            torch.load(checkpoint / name, weights_only=True, mmap=False)
    except (OSError, SafetensorError, ValueError, RuntimeError, EOFError, KeyError, UnpicklingError):
        return False
    return True


def resume(module: Any, method: Any, checkpoint: Path) -> None:
    """Puts the trained tensors of a checkpoint into the module."""
    kept = load_file(checkpoint / TRAINED)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name in kept:
                weight.copy_(kept[name])
    if (checkpoint / STATE).is_file():
        method.restore(module, load_file(checkpoint / STATE))


def prepared(work: Work, folder: Path) -> tuple[Any, Any, Draws, Draws]:
    """(module with the method applied, tokenizer, training draws, validation draws)."""
    objective, method = work.objective, work.method
    torch.manual_seed(work.training.seed)
    module = load_module(work.base, work.architecture, objective.head, work.labels, **method.loading())
    module = method.apply(module, work.architecture, work.method_settings, work.steps)
    tokenizer = load_tokenizer(work.base)
    train, held = work.items(folder)
    settings = work.objective_settings
    draws = training_draws(work.plan, train, work.steps, objective, settings, tokenizer, work.architecture)
    return module, tokenizer, draws, validation_draws(held, objective, settings, tokenizer, work.architecture)


def train(work: Work, folder: Path, out: Path, tell: Tell) -> dict[str, Any]:
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
    loop = Loop(work, module, tokenizer, draws, held, out, tell)
    if last is not None:
        resume(module, work.method, last)
    else:
        loop.evaluate()
    loop.train(resume_from_checkpoint=str(last) if last is not None else None)
    found = {
        "steps": loop.state.global_step,
        "stopped_early": loop.state.global_step < work.steps,
        "best_step": loop.state.best_global_step,
        "best_loss": loop.state.best_metric,
        "seconds": time.perf_counter() - began,
        "tokens": loop.tokens * loop.args.world_size,
        "trained": trained,
        "parameters": sum(weight.numel() for weight in module.parameters()),
        "peak": peak.bytes(),
    }
    if loop.is_world_process_zero():
        tell.record({"key": f"outcome {loop.state.global_step}", "outcome": found})
    return found


def last_whole(out: Path, tell: Tell) -> Path | None:
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


def best_of(out: Path) -> Path | None:
    """The whole checkpoint with the lowest validation loss, else the newest whole one."""
    found = [one for one in checkpoints(out) if readable(one)]
    if not found:
        return None
    best = json.loads((found[0] / "trainer_state.json").read_text()).get("best_global_step")
    return next((one for one in found if step_of(one) == best), found[0])


class Peak:
    """The most memory since it was made, beyond what was held then, in bytes."""

    def __init__(self) -> None:
        self.before = _rss()
        self._fresh = _forget_peak()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def bytes(self) -> int:
        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated())
        return max(0, _high() - self.before)


def _rss() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _high() -> int:
    """Peak resident memory, since the last `_forget_peak` where the system knows it."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _forget_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
