"""Fine-tuning: what is learned (objectives), what is trained (methods), and the loop that all of them share.

A `Plan` is everything that a user chooses; it is what YAML holds, what the form edits and what a run remembers. This
module imports neither torch nor transformers.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Protocol

from genai_lab.errors import BadSetting, LabError
from genai_lab.models import Card

Architecture = Literal["decoder-only", "encoder-decoder", "encoder"]
ARCHITECTURES: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder", "encoder")
IGNORED = -100


def setting(default: Any, help: str, low: float | None = None, high: float | None = None, **more: Any) -> Any:
    """A field of a settings dataclass with what a form needs to know of it."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, **more})


def check_range(owner: Any) -> None:
    """Raises BadSetting for the first field of a settings dataclass that its metadata does not allow."""
    for item in fields(owner):
        value, low, high = getattr(owner, item.name), item.metadata.get("low"), item.metadata.get("high")
        choices = item.metadata.get("choices")
        if choices and value not in choices:
            raise BadSetting(item.name, value, f"one of {', '.join(map(str, choices))}")
        _check_text(item.name, value, str(item.type))
        if item.type in (bool, "bool") and not isinstance(value, bool):
            raise BadSetting(item.name, value, "true or false")
        if low is None or high is None or (value is None and "None" in str(item.type)):
            continue
        whole = str(item.type).startswith(("int", "<class 'int'"))
        rule = f"{'a whole number' if whole else 'a number'} from {_written(low)} to {_written(high)}"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise BadSetting(item.name, value, rule)
        if math.isnan(value) or not low <= value <= high:
            raise BadSetting(item.name, value, rule)


def _check_text(name: str, value: Any, kind: str) -> None:
    if kind in ("str", "<class 'str'>") and not isinstance(value, str):
        raise BadSetting(name, value, "text; write it in quotes")
    if kind.startswith("tuple[str") and not (isinstance(value, tuple) and all(isinstance(one, str) for one in value)):
        raise BadSetting(name, value, "a list of texts; write each in quotes")
    if kind.startswith("dict[str") and not (isinstance(value, dict) and all(isinstance(one, str) for one in value)):
        raise BadSetting(name, value, "settings whose names are text")


def _written(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:g}"


def settings_from(cls: type, values: Mapping[str, Any], owner: str) -> Any:
    """The settings dataclass from a mapping; raises BadSetting for what it does not allow, naming the owner."""
    known = [item.name for item in fields(cls)]
    for name in values:
        if name not in known:
            rule = f"left out: {owner} has no such setting (it has {', '.join(known) or 'none'})"
            raise BadSetting(f"{name} of {owner}", values[name], rule)
    try:
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except BadSetting as problem:
        raise BadSetting(f"{problem.name} of {owner}", problem.value, problem.rule) from None


@dataclass(frozen=True)
class Training:
    """How long, how fast and on what. Raises BadSetting when a value is outside its range."""

    steps: int = setting(300, "Optimiser steps.", 1, 10_000_000, step=1)
    epochs: float = setting(0.0, "Passes over the data instead of steps; 0 is off.", 0.0, 1000.0, more=True)
    batch: int = setting(8, "Rows a step on each process.", 1, 4096)
    learning_rate: float | None = setting(None, "Empty: what suits the method and the size of the base.", 1e-8, 10.0)
    length: int = setting(256, "Longer prompts and texts are cut.", 8, 131_072, unit="tokens")
    target_length: int = setting(128, "Longer completions of an encoder-decoder are cut.", 4, 131_072, unit="tokens")
    seed: int = setting(0, "Draws rows, order, masks and new weights.", 0, 2**31 - 1)
    accumulation: int = setting(1, "Batches added up before the weights change.", 1, 4096, more=True)
    schedule: str = setting(
        "cosine", "How the learning rate falls.", choices=("cosine", "linear", "constant"), more=True
    )
    warmup: float = setting(0.05, "Share of the steps in which it rises.", 0.0, 0.9, step=0.01, more=True)
    weight_decay: float = setting(0.01, "Pulls weights towards zero (AdamW).", 0.0, 1.0, step=0.01, more=True)
    clip: float = setting(1.0, "Largest norm of the gradient; 0 is off.", 0.0, 1000.0, more=True)
    grouping: bool = setting(True, "Rows of similar length share a batch, so that little is padding.", more=True)
    precision: str = setting(
        "float32", "Of the forward pass; float16 needs a GPU.", choices=("float32", "bfloat16", "float16"), more=True
    )
    checkpointing: bool = setting(False, "Computes activations twice to keep fewer of them.", more=True)
    evaluate_every: int = setting(
        0, "Steps between two evaluations and checkpoints; 0: eight a run.", 0, 10_000_000, unit="steps", more=True
    )
    patience: int = setting(0, "Stop after so many evaluations without a lower loss; 0 is off.", 0, 1000, more=True)
    validation_rows: int = setting(200, "Rows that the validation loss is measured on.", 1, 100_000, more=True)
    score_rows: int = setting(
        50, "Validation rows that are completed and scored by the task's metric at each evaluation; 0 is off.",
        0, 10_000, more=True,
    )  # fmt: skip
    processes: int = setting(1, "Processes on this machine (torchrun).", 1, 64, more=True)
    sharding: str = setting(
        "none",
        "What several processes share out: nothing (DDP), gradients and optimiser, or the weights too (FSDP).",
        choices=("none", "gradients", "weights"),
        more=True,
    )

    def __post_init__(self) -> None:
        check_range(self)
        if self.sharding != "none" and self.processes < 2:
            raise LabError("Sharding needs at least 2 processes; raise processes or set sharding to none.")

    @property
    def rows_a_step(self) -> int:
        return self.batch * self.accumulation * self.processes

    def every(self, steps: int) -> int:
        """Steps between two evaluations of a run of so many steps."""
        return self.evaluate_every or max(1, math.ceil(steps / 8))


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset of the mixture, NAME@VERSION, with the templates that its rows are put into by turns."""

    dataset: str
    templates: tuple[str, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_range(self)
        if not isinstance(self.weight, int | float) or not 0 < self.weight <= 1e6:
            raise BadSetting("weight", self.weight, "a number above 0")


BY_MODEL = "by model"
FORMATS = (BY_MODEL, "chat", "plain")


@dataclass(frozen=True)
class Plan:
    """What a run trains, on what, and how.

    `mixing` tells how often each part is drawn: by its number of rows (at most `cap` of them count, 0: all), by that
    number to the power 1 / `temperature`, or by its weight (Wei et al., 2022; Raffel et al., 2020, section 3.5.2).
    `format` is the form in which prompts and pairs are read: in the base's chat template, as plain text, or by model:
    in the template where the base has one.
    """

    model: str
    data: tuple[DatasetSpec, ...]
    objective: str = "instruction"
    method: str = "lora"
    method_settings: dict[str, Any] = field(default_factory=dict)
    objective_settings: dict[str, Any] = field(default_factory=dict)
    mixing: str = "size"
    cap: int = 3000
    temperature: float = 2.0
    split: str = "train"
    validation_split: str = "validation"
    format: str = field(default=BY_MODEL, metadata={"choices": FORMATS})
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if not self.model:
            raise LabError("No model is chosen; choose the one to be tuned.")
        if not self.data:
            raise LabError("No dataset is chosen; choose at least one.")
        check_range(self)
        if self.mixing not in MIXING:
            raise BadSetting("mixing", self.mixing, f"one of {', '.join(MIXING)}")
        if isinstance(self.cap, bool) or not isinstance(self.cap, int) or self.cap < 0:
            raise BadSetting("cap", self.cap, "a whole number of rows, or 0 for no cap")
        if not isinstance(self.temperature, int | float) or not 0.1 <= self.temperature <= 100:
            raise BadSetting("temperature", self.temperature, "a number from 0.1 to 100")

    def as_dict(self) -> dict[str, Any]:
        kept = asdict(self)
        kept["data"] = [{**one, "templates": list(one["templates"])} for one in kept["data"]]
        return kept

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Plan":
        """Raises BadSetting or LabError for whatever is no plan, naming the field."""
        if not isinstance(values, Mapping):
            raise LabError("The plan must be a mapping of fields such as model, data and method.")
        for name in ("model", "data"):
            if name not in values:
                raise LabError(f"The plan lacks the field {name!r}.")
        for name in ("method_settings", "objective_settings", "training"):
            if not isinstance(values.get(name) or {}, Mapping):
                raise BadSetting(name, values[name], "a mapping of settings")
        given = values["data"] or []
        data = tuple(_part(one, n) for n, one in enumerate(given if isinstance(given, list | tuple) else [given], 1))
        training = settings_from(Training, values.get("training") or {}, "training")
        rest = {name: value for name, value in values.items() if name not in ("data", "training") and value is not None}
        return settings_from(cls, {**rest, "data": data, "training": training}, "the plan")

    def to_yaml(self) -> str:
        """The plan as a file: what has its default is left out."""
        from genai_lab.yaml_io import write_yaml

        kept, plain = self.as_dict(), Plan(self.model, self.data).as_dict()
        made = {name: value for name, value in kept.items() if name in ("model", "data") or value != plain[name]}
        made["objective"], made["method"] = self.objective, self.method
        made["training"] = {
            name: value
            for name, value in kept["training"].items()
            if value != plain["training"][name] or name in ("steps", "batch", "seed")
        }
        return write_yaml(made)

    @classmethod
    def from_yaml(cls, text: str) -> "Plan":
        from genai_lab.yaml_io import read_yaml

        return cls.from_dict(read_yaml(text, "The plan"))


MIXING = ("size", "temperature", "weights")


def _part(value: Any, number: int) -> DatasetSpec:
    owner = f"entry {number} of data"
    if isinstance(value, DatasetSpec):
        return value
    if isinstance(value, str):
        value = {"dataset": value}
    if not isinstance(value, Mapping) or "dataset" not in value:
        raise LabError(f"{owner.capitalize()} is {value!r}, but it must be a dataset's name, or have it as 'dataset'.")
    templates = value.get("templates") or ()
    made = {**value, "templates": (templates,) if isinstance(templates, str) else templates}
    return settings_from(DatasetSpec, made, owner)


def architecture_of(card: Card) -> Architecture:
    """Raises LabError for an endpoint, whose weights are not here."""
    if card.family == "endpoint":
        raise LabError(f"{card.name} is an endpoint, whose weights are elsewhere; choose a model on this machine.")
    if card.source.backend == "adapter":
        raise LabError(f"{card.name} is an adapter on {card.source.base}; merge it first, or choose its base.")
    return card.family if card.family in ("decoder-only", "encoder-decoder") else "encoder"  # type: ignore[return-value]


class Reporter(Protocol):
    """What the loop says while it works; the worker's report is one."""

    def progress(self, done: float, total: float | None = None, message: str = "") -> None: ...

    def metric(self, name: str, step: int, value: float) -> None: ...

    def record(self, item: dict[str, Any]) -> None: ...
