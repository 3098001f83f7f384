"""What every objective is: how rows are read, encoded, batched, trained on, shown and reported, with usual defaults.

All that differs between objectives is a member here; no code outside asks which objective it has.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from genai_lab.models import Card
from genai_lab.settings import read_settings
from genai_lab.training.examples import EncodedExample, ShownRow, TextExample, TokenFeatures, ValidationSample
from genai_lab.training.module_kinds import LANGUAGE_MODEL, LanguageModel
from genai_lab.training.plan import Architecture, Training, TrainingPlan
from genai_lab.training.row_source import RowSource

ModelRoleName = Literal["reference", "reward", "teacher", "value"]


@dataclass(frozen=True)
class ModelRole:
    """Another model that an objective reads, besides the one that is trained.

    `resident` says that it stays in memory during the whole run. Without `required` the base stands in.
    """

    about: str
    required: bool = False
    resident: bool = True
    same_architecture: bool = True
    same_tokenizer: bool = True


@dataclass(frozen=True)
class ReadingContext:
    """What rows are read for. `chat` says that prompts are read in the base's chat template."""

    plan: TrainingPlan
    architecture: Architecture
    settings: Any
    labels: tuple[str, ...] = ()
    chat: bool = False


@dataclass(frozen=True)
class EncodingContext:
    """What texts are encoded for. `decoder_start` is the token that an encoder-decoder's decoder begins with."""

    tokenizer: Any
    architecture: Architecture
    training: Training
    settings: Any
    labels: tuple[str, ...] = ()
    decoder_start: int | None = None

    @property
    def pad(self) -> int:
        return int(self.tokenizer.pad_token_id)


@dataclass(frozen=True)
class RowsRead:
    """Texts of one dataset: `passes` over its rows, in each of which templates may differ, and those to validate on.

    `rows` is how many rows there were for training.
    """

    passes: list[list[Any]]
    validation: list[Any]
    rows: int


class TimedBatch(Protocol):
    """What was timed of one batch, in seconds: forward, backward and optimiser; the forward alone; and writing the
    completions of a step, where the objective rolls out.
    """

    @property
    def seconds(self) -> float: ...

    @property
    def forward(self) -> float: ...

    @property
    def writing(self) -> float: ...


class RunInputs(Protocol):
    """What an objective reads of a run's `TrainingInputs`."""

    @property
    def plan(self) -> TrainingPlan: ...

    @property
    def models(self) -> Mapping[str, Path]: ...

    @property
    def chat(self) -> bool: ...

    @property
    def objective_settings(self) -> Any: ...


@dataclass(frozen=True)
class FinishedRun:
    """What a report is made of: the sources are those of the plan's data in order, `card` is the tuned model's."""

    plan: TrainingPlan
    sources: tuple[RowSource, ...]
    inputs: RunInputs
    out: Path
    card: Card
    device: str


@dataclass(frozen=True)
class SamplingContext:
    """A module in training, with what it takes to let it speak."""

    module: Any
    encoding: EncodingContext
    one_at_a_time: bool = False
    labels: tuple[str, ...] = field(default=())


class Objective:
    """The base of all objectives; `encode`, `features`, `collate` and more are what a new one brings.

    `best_figure` is the validation figure by which the best checkpoint is chosen. `rate_share` is the learning rate of
    larger models as a share of the method's own. `old_curves` maps names of curves that earlier versions wrote.
    """

    name: str
    title: str
    about: str
    source: str
    architectures: tuple[Architecture, ...]

    module_kind: LanguageModel = LANGUAGE_MODEL
    models: Mapping[str, ModelRole] = {}
    text_type: type = TextExample  # what `read` gives and `encode` takes
    example_type: type = EncodedExample  # what `encode` gives and `features` takes
    passes_without_learning: int = 0  # over the rows of a run, before its first step
    best_figure: str = "loss"
    greater_is_better: bool = False
    rate_share: float = 1.0
    old_curves: Mapping[str, str] = {}
    loss_unit: str = "token"
    reads_chat: bool = False
    reads_blocks: bool = False
    needs_whole_weights: bool = False
    only_learned_logits: bool = False  # whether its trainer has logits at learned positions alone
    sequences_per_row: int = 1
    scores_completions: bool = False
    learns_reward: bool = False  # makes a reward model, whose accuracy by labels and annotators can be studied
    reads_votes_as: str = "pairs"  # how a campaign's votes reach it: "pairs", or "labels" of single completions
    learns_policy: bool = False  # makes a model that people are to prefer to its base
    rolls_out: bool = False  # learns from completions that it writes itself, which are kept
    sample_labels: tuple[str, ...] = ()  # labels that stand for any, where sizes are estimated without data
    preview_tokens: ClassVar[int] = 48

    @property
    def settings(self) -> type:
        """The dataclass of its own settings."""
        raise NotImplementedError

    def settings_of(self, plan: TrainingPlan) -> Any:
        """Those that the plan gives, checked; raises BadSetting."""
        settings: Any = read_settings(self.settings, plan.objective_settings, self.title)
        return settings

    @property
    def writes(self) -> bool:
        """Whether the tuned model writes text, so that its completions can be measured."""
        return self.module_kind is LANGUAGE_MODEL

    def learning_rate(self, method: Any, small: bool) -> float:
        """The rate of a run whose plan gives none; `small` models bear ten times more."""
        return float(method.rate if small else f"{method.large_rate * self.rate_share:.3g}")

    def default_settings(self, architecture: Architecture) -> dict[str, Any]:
        """Settings that suit a base of this architecture, beyond the defaults."""
        return {}

    def excludes(self, method: Any) -> str | None:
        """Why the method does not go with this objective, in one sentence; None where it does."""
        if not self.module_kind.whole_folder or method.artefact == "model" or method.mergeable:
            return None
        return (
            f"{method.title} leaves an adapter that cannot be merged into a {self.title.lower()}; choose LoRA or full."
        )

    def model_names(self, plan: TrainingPlan) -> Mapping[str, str]:
        """The other models that the plan names, by role."""
        return plan.models

    def model_roles(self, plan: TrainingPlan) -> Mapping[str, ModelRole]:
        """What other models a run with this plan may read, by role."""
        return self.models

    def check_model(self, role: str, card: Card, plan: TrainingPlan) -> None:
        """Raises LabError where a model cannot take its role."""

    def context_needed(self, plan: TrainingPlan, architecture: Architecture) -> int:
        """How many tokens of context a row may take."""
        return plan.training.max_length

    def forward_rows(self, plan: TrainingPlan) -> int:
        """How many sequences one forward pass of a step reads."""
        return self.sequences_per_row * plan.training.per_device_batch_size

    def lengths_in_step(
        self, length: int, target: int, plan: TrainingPlan, architecture: Architecture
    ) -> tuple[int, int]:
        """(tokens that a step reads of a row, tokens of it that are learned, 0 for all), given those of its example."""
        return length, target or self.learned_tokens(length, plan)

    def holds_base(self, method: Any) -> bool:
        """Whether a run by this method holds a second copy of its base, beside models that the plan names."""
        return False

    def rows_written(self, plan: TrainingPlan) -> int:
        """How many completions a step writes itself."""
        return 0

    def step_seconds(self, plan: TrainingPlan, batch: TimedBatch) -> float:
        """What a step takes, given what its batch took."""
        return plan.training.gradient_accumulation_steps * batch.seconds

    def evaluation_seconds(self, plan: TrainingPlan, batch: TimedBatch, rows: int) -> float:
        """What an evaluation on so many rows takes."""
        return rows / plan.training.per_device_batch_size * batch.forward

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        """Raises LabError in one sentence where the dataset lacks columns that are read."""
        raise NotImplementedError

    def labels(self, sources: Sequence[RowSource]) -> tuple[str, ...]:
        """The classes of a classifier, in order."""
        return ()

    def read(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        """At most `count` rows to learn from (more passes where there are fewer) and `held` to validate on."""
        raise NotImplementedError

    def encode(self, texts: Iterable[Any], context: EncodingContext) -> list[Any]:
        """Examples of `example_type`; rows of which nothing can be learned are left out."""
        raise NotImplementedError

    def features(self, example: Any, context: EncodingContext, rng: random.Random) -> Any:
        """What is read this time; the generator depends on the seed and the position in the run alone."""
        raise NotImplementedError

    def sequences(self, features: Any) -> list[TokenFeatures]:
        """All token sequences of one row of a batch."""
        return [features]

    def collate(self, rows: Sequence[Any], context: EncodingContext) -> dict[str, Any]:
        """The batch of these features as tensors."""
        raise NotImplementedError

    def trainer(self, architecture: Architecture) -> type:
        """The trainer of a run, a `LabTrainer`; imported here, since torch is heavy."""
        raise NotImplementedError

    def width(self, example: Any, *, validation: bool = False) -> int:
        """Tokens that batches are grouped by; in validation those that are read."""
        return len(example.ids) if validation else example.length()

    def grouping_key(self, example: Any) -> tuple[int, int]:
        """What examples of one batch have in common where batches are grouped by length."""
        return self.width(example), len(example.target)

    def learned_tokens(self, length: int, plan: TrainingPlan) -> int:
        """How many tokens of a block of `length` are learned; 0 for all."""
        return 0

    def lengths(self, example: Any, architecture: Architecture) -> tuple[int, int]:
        """(tokens that are read, tokens that an encoder-decoder writes or another learns, 0 for all) of an example, for
        the memory plan.
        """
        if architecture == "encoder-decoder":
            return len(example.ids), len(example.target)
        return example.length(), 0

    def show(self, features: Any, width: int, context: EncodingContext) -> ShownRow:
        """A row of the first batch, padded to `width`."""
        raise NotImplementedError

    def samples(self, features: Sequence[Any], context: SamplingContext) -> list[ValidationSample]:
        """What the module says on these validation rows."""
        raise NotImplementedError

    def finish(self, module: Any, inputs: RunInputs) -> None:
        """Last changes to the tuned module before it is written."""

    def report(self, run: FinishedRun) -> dict[str, Any]:
        """How the finished run does on data that it has not seen, as JSON; {} where there is nothing to say."""
        return {}
