"""What every run has whatever its trainer: our order, evaluation, curves and checkpoints, as a mixin over a Trainer.

A checkpoint holds the trained tensors alone, with what the optimiser and the random numbers need to go on.
"""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
from transformers.trainer_callback import EarlyStoppingCallback, PrinterCallback
from transformers.trainer_utils import IntervalStrategy

from genai_lab.errors import LabError
from genai_lab.training import IGNORED, Reporter
from genai_lab.training.batches import Collate, Draws
from genai_lab.training.completion_scores import Scorer
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import start_of
from genai_lab.training.samples import samples
from genai_lab.training.sharding import own, shard, share_out, whole

TRAINED = "trained.safetensors"
STATE = "method.safetensors"
KEPT = 3  # the newest, the one before it for when that is torn, and the best
POINTS = 500
if TYPE_CHECKING:
    _Trainer = Trainer
else:
    _Trainer = object


class Diverged(LabError):
    """The loss or a weight is no number any more."""

    def __init__(self, what: str, step: int, rate: float, kept: int | None) -> None:
        where = f"; the checkpoint of step {kept} is kept" if kept else ""
        likely = "a learning rate that is too high" if rate > 1e-4 else "numbers too large for the precision"
        super().__init__(
            f"The {what} is no number any more at step {step} (learning rate {rate:.2g}){where}. The likely cause is "
            f"{likely}: lower it, clip the gradient, or train in float32."
        )


class Running(_Trainer):
    """One run; what it draws is decided before it begins. A trainer beside it brings the loss and `measured`."""

    model: Any
    control: Any
    optimizer: Any
    lr_scheduler: Any

    def __init__(
        self,
        work: TrainingInputs,
        module: Any,
        tokenizer: Any,
        draws: Draws,
        held: Draws,
        out: Path,
        tell: Reporter,
        **trainer: Any,
    ) -> None:
        self.work, self.tell, self.tokenizer, self.out = work, tell, tokenizer, out
        self.draws, self.held = draws, held
        self.sharded = work.training.sharding != "none"
        self.method, self.tokens, self.began = work.method, 0, time.perf_counter()
        self.trained = [name for name, weight in module.named_parameters() if weight.requires_grad]
        self.collate = Collate(tokenizer.pad_token_id, work.architecture, work.objective.head, start_of(module.config))
        self.scorer = Scorer(work, held, out, tell)
        given: dict[str, Any] = {"train_dataset": draws, "eval_dataset": held, **trainer}
        super().__init__(
            model=module, data_collator=self.collate, callbacks=[CurveCallback(self), *stopping(work)], **given
        )
        self.pop_callback(PrinterCallback)

    def shard(self) -> None:
        """Shares the module out among the processes, which then is not wrapped any more."""
        shard(self.model, self.args.device, self.work.training.sharding == "weights")
        self.is_distributed_loading_by_transformers = True

    def sizes(self) -> dict[str, int]:
        """Numbers of parameters: of the module, and of those that this process holds."""
        weights = [weight.detach() for weight in self.model.parameters()]
        return {"parameters": sum(one.numel() for one in weights), "local": sum(own(one).numel() for one in weights)}

    def _move_model_to_device(self, model: Any, device: Any) -> None:
        if not self.sharded:
            super()._move_model_to_device(model, device)

    def measured(self) -> dict[str, float]:
        """The loss over all validation items, and figures beside it; without gradients, in evaluation mode."""
        raise NotImplementedError

    def curves(self) -> dict[str, float]:
        """What is told of training beside the loss since this was last asked, by the curve's name."""
        return {}

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        self.tokens += int(inputs["attention_mask"].sum())
        if "decoder_input_ids" in inputs:
            self.tokens += int((inputs["labels"] != IGNORED).sum())
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise Diverged("loss", self.state.global_step + 1, self._get_learning_rate(), self.last_good())
        return loss

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
        """Tells what the validation items show, and what is written for some of them."""
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            measured = self.measured()
        if not math.isfinite(measured["loss"]):
            raise Diverged("validation loss", self.state.global_step, self._get_learning_rate(), self.last_good())
        found = {f"eval_{name.replace(' ', '_')}": value for name, value in measured.items()}
        step, shown = self.state.global_step, []
        self.state.log_history.append({"step": step, "eval_loss": measured["loss"]})
        # Sharded weights are put together by all processes, which write the same then.
        if self.is_world_process_zero() or self.sharded:
            shown = samples(self.work, self.model, self.tokenizer, self.held, self.collate)
            self.scorer.score(self.model, self.tokenizer, step, tells=self.is_world_process_zero())
        if self.is_world_process_zero():
            for name, value in measured.items():
                self.tell.metric(f"validation {name}", step, value)
            for item in shown:
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

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The trained tensors, finite ones only; every process helps to put sharded ones together."""
        weights = dict(self.model.named_parameters())
        kept = {name: whole(weights[name].detach()).contiguous().cpu() for name in self.trained}
        if not self.args.should_save:
            return
        for name, tensor in kept.items():
            if not torch.isfinite(tensor).all():
                raise Diverged(f"weight {name}", self.state.global_step, self._get_learning_rate(), self.last_good())
        folder = Path(output_dir) if output_dir else self.out
        folder.mkdir(parents=True, exist_ok=True)
        save_file(kept, folder / TRAINED)
        if state := self.method.state(self.model):
            save_file({name: value.contiguous().clone() for name, value in state.items()}, folder / STATE)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.sharded:
            return super()._save_optimizer_and_scheduler(output_dir)
        state = whole(self.optimizer.state_dict())
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.sharded:
            share_out(self.optimizer)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The trained tensors are put back before the module is wrapped; see `resume`."""


class CurveCallback(TrainerCallback):
    """Curves, progress, and the method's own work after a step."""

    def __init__(self, loop: Running) -> None:
        self.loop = loop
        self.since, self.tokens = time.perf_counter(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What the base can do is told first, by the module as it is trained, which may be sharded."""
        if not state.global_step and args.eval_strategy != IntervalStrategy.NO:
            self.loop.evaluate()

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
        for name, value in self.loop.curves().items():
            tell.metric(name, step, value)
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


def stopping(work: TrainingInputs) -> list[Any]:
    return (
        [EarlyStoppingCallback(work.training.early_stopping_patience)] if work.training.early_stopping_patience else []
    )


def memory_now() -> float:
    """Bytes that this process holds, on the GPU where there is one."""
    if torch.cuda.is_available():
        return float(torch.cuda.memory_allocated())
    import psutil

    return float(psutil.Process().memory_info().rss)


def arguments(work: TrainingInputs, out: Path, kind: type[TrainingArguments] = TrainingArguments, **more: Any) -> Any:
    """The plan in Trainer's words, or in those of a trainer that is built on it."""
    plan, cpu = work.training, work.device == "cpu"
    every = plan.steps_between_evaluations(work.steps)
    return kind(
        output_dir=str(out),
        max_steps=work.steps,
        per_device_train_batch_size=plan.per_device_batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation_steps,
        learning_rate=work.rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(plan.lr_scheduler_type, plan.lr_scheduler_type),
        warmup_steps=round(plan.warmup_ratio * work.steps),
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        bf16=plan.precision == "bfloat16",
        fp16=plan.precision == "float16",
        activation_checkpointing=plan.gradient_checkpointing,
        seed=plan.seed,
        data_seed=plan.seed,
        train_sampling_strategy="sequential",
        use_cpu=cpu,
        ddp_backend="gloo" if cpu and plan.processes > 1 else None,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=KEPT,
        restore_callback_states_from_checkpoint=True,  # patience
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
        **more,
    )


def checkpoints(out: Path) -> list[Path]:
    """Those there are, newest first, torn ones too."""
    return sorted(out.glob("checkpoint-*"), key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
