"""What every run has whatever its trainer: our order, evaluation, curves and checkpoints, as a mixin over a Trainer.

A checkpoint holds the trained tensors alone, with what the optimiser and the random numbers need to go on.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
from transformers.trainer_callback import EarlyStoppingCallback, PrinterCallback
from transformers.trainer_utils import IntervalStrategy

from genai_lab.errors import LabError
from genai_lab.training.batches import FeatureDataset
from genai_lab.training.completion_scores import CompletionScorer
from genai_lab.training.examples import IGNORED
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.objective import Objective, SamplingContext
from genai_lab.training.reporter import Reporter
from genai_lab.training.sharding import distribute_state, gather_tensors, local_part, shard

TRAINED = "trained.safetensors"
STATE = "method.safetensors"
KEPT = 3  # the newest, the one before it for when that is torn, and the best
POINTS = 500
if TYPE_CHECKING:
    _Trainer = Trainer
else:
    _Trainer = object


class Diverged(LabError):
    """The loss or a weight is no longer a number."""

    def __init__(self, what: str, step: int, rate: float, checkpoint: int | None) -> None:
        where = f"; the checkpoint of step {checkpoint} is kept" if checkpoint else ""
        likely = "a learning rate that is too high" if rate > 1e-4 else "numbers too large for the precision"
        super().__init__(
            f"The {what} is no longer a number at step {step} (learning rate {rate:.2g}){where}. The likely cause is "
            f"{likely}: lower it, clip the gradient, or train in float32."
        )


@dataclass(frozen=True)
class TrainingSetup:
    """What a trainer is made of: the module with its method applied, and what it reads."""

    inputs: TrainingInputs
    module: Any
    tokenizer: Any
    train: FeatureDataset
    validation: FeatureDataset
    out: Path
    reporter: Reporter


class LabTrainer(_Trainer):
    """One run; the order of its rows is decided before it starts. Subclasses provide the loss and `measure`."""

    model: Any
    optimizer: Any
    lr_scheduler: Any
    objective: Objective

    def __init__(self, setup: TrainingSetup, **trainer: Any) -> None:
        inputs, module = setup.inputs, setup.module
        self.inputs, self.reporter, self.tokenizer, self.out = inputs, setup.reporter, setup.tokenizer, setup.out
        self.train_features, self.validation = setup.train, setup.validation
        self.objective, self.method = inputs.objective, inputs.method
        self.sharded = inputs.training.sharding != "none"
        self.tokens = 0
        self.trained = [name for name, weight in module.named_parameters() if weight.requires_grad]
        self.scorer = CompletionScorer(inputs, setup.validation, setup.out, setup.reporter)
        datasets: dict[str, Any] = {"train_dataset": setup.train, "eval_dataset": setup.validation, **trainer}
        super().__init__(
            model=module, data_collator=self.collate, callbacks=[CurveCallback(self), *stopping(inputs)], **datasets
        )
        self.pop_callback(PrinterCallback)

    def collate(self, rows: Any) -> dict[str, Any]:
        return self.objective.collate(rows, self.train_features.context)

    def shard(self) -> None:
        """Shares the module out among the processes, which then is not wrapped any more."""
        shard(self.model, self.args.device, self.inputs.training.sharding == "weights")
        self.is_distributed_loading_by_transformers = True

    def parameter_counts(self) -> dict[str, int]:
        """Numbers of parameters: of the module, and of those that this process holds."""
        weights = [weight.detach() for weight in self.model.parameters()]
        return {
            "parameters": sum(weight.numel() for weight in weights),
            "local": sum(local_part(weight).numel() for weight in weights),
        }

    def _move_model_to_device(self, model: Any, device: Any) -> None:
        if not self.sharded:
            super()._move_model_to_device(model, device)

    def measure(self) -> dict[str, float]:
        """The loss over all validation rows, or the objective's best figure, and figures beside it; without gradients,
        in evaluation mode.
        """
        raise NotImplementedError

    def curves(self) -> dict[str, float]:
        """Figures of training beside the loss since the last call, by the curve's name."""
        return {}

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        self.tokens += int(inputs["attention_mask"].sum())
        if "decoder_input_ids" in inputs:
            self.tokens += int((inputs["labels"] != IGNORED).sum())
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise Diverged("loss", self.state.global_step + 1, self._get_learning_rate(), self.last_good())
        return loss

    def penalty(self) -> Any:
        """What the method adds to the loss of a batch; None for nothing."""
        penalty = self.method.penalty(self.model) if self.model.training else None
        return None if penalty is None else penalty / self.args.gradient_accumulation_steps

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
        """Reports figures of the validation rows, and samples of some of them."""
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            figures = self.measure()
        for name in {"loss", self.objective.best_figure} & set(figures):
            if not math.isfinite(figures[name]):
                raise Diverged(
                    f"validation {name}", self.state.global_step, self._get_learning_rate(), self.last_good()
                )
        metrics = {f"eval_{name.replace(' ', '_')}": value for name, value in figures.items()}
        step = self.state.global_step
        compared = {"eval_loss", best_metric_of(self.objective)} & set(metrics)
        self.state.log_history.append({"step": step, **{name: metrics[name] for name in sorted(compared)}})
        samples: list[dict[str, Any]] = []
        # Sharded weights are gathered by all processes, which write the same then.
        if self.is_world_process_zero() or self.sharded:
            samples = self.samples()
            self.scorer.score(self.model, self.tokenizer, step, reports=self.is_world_process_zero())
        if self.is_world_process_zero():
            for name, value in figures.items():
                self.reporter.metric(f"validation {name}", step, value)
            for sample in samples:
                self.reporter.record({"key": f"sample {step} {sample['place']}", "sample": sample | {"step": step}})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def samples(self) -> list[dict[str, Any]]:
        """{"place", "prompt", "reference", "text"} of the validation examples that are sampled."""
        positions = {example: position for position, (_, example) in enumerate(self.validation.indices)}
        rows = [self.validation[positions[example]] for example in self.inputs.sampled]
        if not rows:
            return []
        context = SamplingContext(self.model, self.validation.context, self.inputs.one_at_a_time)
        with torch.no_grad():
            samples = self.objective.samples(rows, context)
        return [{"place": index, **asdict(sample)} for index, sample in enumerate(samples)]

    def validation_batches(self) -> Iterator[dict[str, Any]]:
        size = self.args.per_device_train_batch_size
        for start in range(0, len(self.validation), size):
            stop = min(start + size, len(self.validation))
            rows = [self.validation[position] for position in range(start, stop)]
            yield self._prepare_inputs(self.collate(rows))

    def last_good(self) -> int | None:
        """The step of the newest checkpoint."""
        newest = next(iter(checkpoints(self.out)), None)
        return step_of(newest) if newest else None

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The trained tensors, finite ones only; every process helps to put sharded ones together."""
        weights = dict(self.model.named_parameters())
        tensors = {name: gather_tensors(weights[name].detach()).contiguous().cpu() for name in self.trained}
        if not self.args.should_save:
            return
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise Diverged(f"weight {name}", self.state.global_step, self._get_learning_rate(), self.last_good())
        folder = Path(output_dir) if output_dir else self.out
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / TRAINED)
        if state := self.method.state(self.model):
            save_file({name: value.contiguous().clone() for name, value in state.items()}, folder / STATE)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.sharded:
            return super()._save_optimizer_and_scheduler(output_dir)
        state = gather_tensors(self.optimizer.state_dict())
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.sharded:
            distribute_state(self.optimizer)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The trained tensors are put back before the module is wrapped; see `resume`."""


class CurveCallback(TrainerCallback):
    """Curves, progress, and the method's own work after a step."""

    def __init__(self, trainer: LabTrainer) -> None:
        self.trainer = trainer
        self.since, self.tokens = time.perf_counter(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What the base can do is reported first, by the module as it is trained, which may be sharded."""
        if not state.global_step and args.eval_strategy != IntervalStrategy.NO:
            self.trainer.evaluate()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.method.after_step(self.trainer.accelerator.unwrap_model(self.trainer.model), state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.trainer.reporter.progress(
                state.global_step, state.max_steps, f"step {state.global_step:,} of {state.max_steps:,}"
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        now = time.perf_counter()
        tokens = (self.trainer.tokens - self.tokens) * args.world_size
        reporter, step = self.trainer.reporter, state.global_step
        reporter.metric("training loss", step, float(logs["loss"]))
        for name, value in self.trainer.curves().items():
            reporter.metric(name, step, value)
        reporter.metric("learning rate", step, float(logs["learning_rate"]))
        if "grad_norm" in logs:
            reporter.metric("gradient norm", step, float(logs["grad_norm"]))
        reporter.metric("tokens per second", step, tokens / max(1e-9, now - self.since))
        reporter.metric("memory", step, memory_now())
        self.since, self.tokens = now, self.trainer.tokens

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.since, self.tokens = time.perf_counter(), self.trainer.tokens

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.since = time.perf_counter()
        if state.is_world_process_zero:
            best = state.best_global_step or state.global_step
            self.trainer.reporter.record(
                {"key": f"checkpoint {state.global_step}", "checkpoint": state.global_step, "best": best}
            )


def best_metric_of(objective: Any) -> str:
    """Trainer's name of the figure by which the best checkpoint is chosen."""
    return f"eval_{objective.best_figure.replace(' ', '_')}"


def stopping(inputs: TrainingInputs) -> list[Any]:
    patience = inputs.training.early_stopping_patience
    return [EarlyStoppingCallback(patience)] if patience else []


def memory_now() -> float:
    """Bytes that this process holds, on the GPU where there is one."""
    if torch.cuda.is_available():
        return float(torch.cuda.memory_allocated())
    import psutil

    return float(psutil.Process().memory_info().rss)


def arguments(
    inputs: TrainingInputs, out: Path, kind: type[TrainingArguments] = TrainingArguments, **settings: Any
) -> Any:
    """The plan in Trainer's words, or in those of a trainer that is built on it."""
    plan, cpu = inputs.training, inputs.device == "cpu"
    every = plan.steps_between_evaluations(inputs.steps)
    return kind(
        output_dir=str(out),
        max_steps=inputs.steps,
        per_device_train_batch_size=plan.per_device_batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation_steps,
        learning_rate=inputs.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(plan.lr_scheduler_type, plan.lr_scheduler_type),
        warmup_steps=round(plan.warmup_ratio * inputs.steps),
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
        metric_for_best_model=best_metric_of(inputs.objective),
        greater_is_better=inputs.objective.greater_is_better,
        logging_steps=max(1, inputs.steps // POINTS),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=0,
        dataloader_pin_memory=not cpu,
        log_level="error",
        **settings,
    )


def checkpoints(out: Path) -> list[Path]:
    """Those there are, newest first, torn ones too."""
    return sorted(out.glob("checkpoint-*"), key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
