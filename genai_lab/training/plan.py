"""The plan of a fine-tuning run: everything that a user chooses. It is what YAML holds and what a run remembers.

This module imports neither torch nor transformers.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from genai_lab.errors import BadSetting, LabError
from genai_lab.models import Card
from genai_lab.settings import check_settings, read_settings, setting
from genai_lab.yaml_io import read_yaml, write_yaml

Architecture = Literal["decoder-only", "encoder-decoder", "encoder"]
ARCHITECTURES: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder", "encoder")
RENAMED_OBJECTIVES = {"causal": "clm", "masked": "mlm", "spans": "span_corruption"}
RENAMED_METHODS = {"biases": "bitfit", "bottleneck": "houlsby"}
MIXING = ("size", "temperature", "weights")
BY_MODEL = "by model"
FORMATS = (BY_MODEL, "chat", "plain")
EVALUATIONS = 8  # of a run whose plan does not say how often it is evaluated


@dataclass(frozen=True)
class Training:
    """How long, how fast and on what. Raises BadSetting when a value is outside its range."""

    max_steps: int = setting(300, "Optimiser steps.", 1, 10_000_000, step=1, label="Steps", renamed_from=("steps",))
    num_train_epochs: float = setting(
        0.0, "Passes over the data instead of steps; 0 is off.", 0.0, 1000.0, more=True, label="Epochs",
        renamed_from=("epochs",),
    )  # fmt: skip
    per_device_batch_size: int = setting(
        8, "Rows per step on each process.", 1, 4096, label="Batch size per device",
        renamed_from=("batch", "batch_size", "per_device_train_batch_size"),
    )  # fmt: skip
    learning_rate: float | None = setting(None, "Empty: chosen by the method and the size of the base.", 1e-8, 10.0)
    max_length: int = setting(
        256, "Longer prompts and texts are cut.", 8, 131_072, unit="tokens", renamed_from=("length",)
    )
    max_target_length: int = setting(
        128, "Longer completions of an encoder-decoder are cut.", 4, 131_072, unit="tokens",
        renamed_from=("target_length",),
    )  # fmt: skip
    seed: int = setting(0, "For rows, order, masks and new weights.", 0, 2**31 - 1)
    gradient_accumulation_steps: int = setting(
        1, "Batches accumulated before the weights are updated.", 1, 4096, more=True, renamed_from=("accumulation",)
    )
    lr_scheduler_type: str = setting(
        "cosine", "How the learning rate falls.", choices=("cosine", "linear", "constant"), more=True,
        label="Learning rate schedule", renamed_from=("schedule",),
    )  # fmt: skip
    warmup_ratio: float = setting(
        0.05, "Share of the steps in which it rises.", 0.0, 0.9, step=0.01, more=True, renamed_from=("warmup",)
    )
    weight_decay: float = setting(0.01, "Pulls weights towards zero (AdamW).", 0.0, 1.0, step=0.01, more=True)
    max_grad_norm: float = setting(
        1.0, "Largest norm of the gradient; 0 is off.", 0.0, 1000.0, more=True, label="Max gradient norm",
        renamed_from=("clip",),
    )  # fmt: skip
    group_by_length: bool = setting(
        True, "Rows of similar length share a batch, which saves padding.", more=True, renamed_from=("grouping",)
    )
    precision: str = setting(
        "float32", "Of the forward pass; float16 needs a GPU.", choices=("float32", "bfloat16", "float16"), more=True
    )
    gradient_checkpointing: bool = setting(
        False, "Computes activations twice to keep fewer of them.", more=True, renamed_from=("checkpointing",)
    )
    eval_steps: int = setting(
        0, "Steps between two evaluations and checkpoints; 0: eight per run.", 0, 10_000_000, unit="steps", more=True,
        label="Steps between evaluations", renamed_from=("evaluate_every",),
    )  # fmt: skip
    early_stopping_patience: int = setting(
        0, "Stop after this many evaluations without improvement; 0 is off.", 0, 1000, more=True,
        renamed_from=("patience",),
    )  # fmt: skip
    validation_rows: int = setting(200, "Rows that the validation loss is measured on.", 1, 100_000, more=True)
    score_rows: int = setting(
        50, "Validation rows that are completed and scored by the task's metric at each evaluation; 0 is off.",
        0, 10_000, more=True,
    )  # fmt: skip
    processes: int = setting(1, "Processes on this machine (torchrun).", 1, 64, more=True)
    sharding: str = setting(
        "none",
        "What several processes share: nothing (DDP), gradients and optimiser, or the weights too (FSDP).",
        choices=("none", "gradients", "weights"),
        more=True,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.sharding != "none" and self.processes < 2:
            raise LabError("Sharding needs at least 2 processes; raise processes or set sharding to none.")

    @property
    def rows_per_step(self) -> int:
        return self.per_device_batch_size * self.gradient_accumulation_steps * self.processes

    def steps_between_evaluations(self, steps: int) -> int:
        """Of a run with this number of steps."""
        return self.eval_steps or max(1, math.ceil(steps / EVALUATIONS))


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset of the mixture, NAME@VERSION, with the templates that its rows are filled into by turns."""

    dataset: str
    templates: tuple[str, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_settings(self)
        if not isinstance(self.weight, int | float) or not 0 < self.weight <= 1e6:
            raise BadSetting("weight", self.weight, "a number above 0")


@dataclass(frozen=True)
class TrainingPlan:
    """What a run trains, on what, and how.

    `mixing` says how often each dataset is sampled: by its number of rows (at most `cap` of them count, 0: all), by
    that number to the power 1 / `temperature`, or by its weight (Wei et al., 2022; Raffel et al., 2020, section 3.5.2).
    `format` is the form in which prompts and pairs are read: in the base's chat template, as plain text, or by model:
    in the template where the base has one. `models` are the other models that the objective reads, by role, such as
    {"reference": "starter-causal"}.
    """

    model: str
    data: tuple[DatasetSpec, ...]
    objective: str = setting("instruction", renamed_values=RENAMED_OBJECTIVES)
    method: str = setting("lora", renamed_values=RENAMED_METHODS)
    method_settings: dict[str, Any] = field(default_factory=dict)
    objective_settings: dict[str, Any] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    mixing: str = "size"
    cap: int = 3000
    temperature: float = 2.0
    split: str = "train"
    validation_split: str = "validation"
    format: str = setting(BY_MODEL, choices=FORMATS)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if not self.model:
            raise LabError("No model is chosen; choose the one to be tuned.")
        if not self.data:
            raise LabError("No dataset is chosen; choose at least one.")
        check_settings(self)
        object.__setattr__(self, "objective", RENAMED_OBJECTIVES.get(self.objective, self.objective))
        object.__setattr__(self, "method", RENAMED_METHODS.get(self.method, self.method))
        if self.mixing not in MIXING:
            raise BadSetting("mixing", self.mixing, f"one of {', '.join(MIXING)}")
        if isinstance(self.cap, bool) or not isinstance(self.cap, int) or self.cap < 0:
            raise BadSetting("cap", self.cap, "a whole number of rows, or 0 for no cap")
        if not isinstance(self.temperature, int | float) or not 0.1 <= self.temperature <= 100:
            raise BadSetting("temperature", self.temperature, "a number from 0.1 to 100")
        if not all(isinstance(name, str) and name for name in self.models.values()):
            raise BadSetting("models", self.models, "names of models by role, such as reference: starter-causal")

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["data"] = [{**spec, "templates": list(spec["templates"])} for spec in values["data"]]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingPlan":
        """Raises BadSetting or LabError for whatever is not a plan, naming the field. Old names are read too."""
        if not isinstance(values, Mapping):
            raise LabError("The plan must be a mapping of fields such as model, data and method.")
        for name in ("model", "data"):
            if name not in values:
                raise LabError(f"The plan is missing the field {name!r}.")
        for name in ("method_settings", "objective_settings", "models", "training"):
            if not isinstance(values.get(name) or {}, Mapping):
                raise BadSetting(name, values[name], "a mapping of settings")
        entries = values["data"] or []
        entries = entries if isinstance(entries, list | tuple) else [entries]
        data = tuple(_dataset_spec(entry, number) for number, entry in enumerate(entries, 1))
        training = read_settings(Training, values.get("training") or {}, "training")
        others = {
            name: value for name, value in values.items() if name not in ("data", "training") and value is not None
        }
        return read_settings(cls, {**others, "data": data, "training": training}, "the plan")

    def to_yaml(self) -> str:
        """The plan as a file, without what has its default."""
        values, defaults = self.as_dict(), TrainingPlan(self.model, self.data).as_dict()
        written = {
            name: value for name, value in values.items() if name in ("model", "data") or value != defaults[name]
        }
        written["objective"], written["method"] = self.objective, self.method
        written["training"] = {
            name: value
            for name, value in values["training"].items()
            if value != defaults["training"][name] or name in ("max_steps", "per_device_batch_size", "seed")
        }
        return write_yaml(written)

    @classmethod
    def from_yaml(cls, text: str) -> "TrainingPlan":
        return cls.from_dict(read_yaml(text, "The plan"))


def _dataset_spec(value: Any, number: int) -> DatasetSpec:
    owner = f"entry {number} of data"
    if isinstance(value, DatasetSpec):
        return value
    if isinstance(value, str):
        value = {"dataset": value}
    if not isinstance(value, Mapping) or "dataset" not in value:
        raise LabError(f"{owner.capitalize()} is {value!r}, but it must be a dataset's name, or have it as 'dataset'.")
    return read_settings(DatasetSpec, {**value, "templates": value.get("templates") or ()}, owner)


def architecture_of(card: Card) -> Architecture:
    """Raises LabError for a model whose weights are not here, or not torch's."""
    if card.family == "endpoint":
        raise LabError(f"{card.name} is an endpoint, whose weights are elsewhere; choose a model on this machine.")
    card.require_torch("training")
    if card.is_adapter:
        raise LabError(f"{card.name} is an adapter on {card.source.base}; merge it first, or choose its base.")
    return card.family if card.family in ("decoder-only", "encoder-decoder") else "encoder"  # type: ignore[return-value]
