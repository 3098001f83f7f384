"""What objectives share that let a policy write completions, reward them, and learn from what they earned."""

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genai_lab.alignment.policy_loss import LossShape
from genai_lab.data import Example
from genai_lab.errors import BadSetting, LabError
from genai_lab.models import Card
from genai_lab.models.chat import render_messages
from genai_lab.rewards import RewardPart, read_parts, reward_roles
from genai_lab.settings import check_settings, setting
from genai_lab.training.examples import (
    IGNORED,
    PromptExample,
    ShownRow,
    TextExample,
    TokenFeatures,
    TokenKind,
    ValidationSample,
)
from genai_lab.training.generation import decode, generate_greedily
from genai_lab.training.method import PeftMethod
from genai_lab.training.objective import (
    EncodingContext,
    ModelRole,
    Objective,
    ReadingContext,
    RowsRead,
    RunInputs,
    SamplingContext,
    TimedBatch,
)
from genai_lab.training.plan import Architecture, TrainingPlan
from genai_lab.training.row_reading import CompletionReader, answer_of, check_columns, input_of
from genai_lab.training.row_source import RowSource
from genai_lab.training.token_objective import encode_text, end_of, pad_tokens

if TYPE_CHECKING:
    from genai_lab.training.lab_trainer import LabTrainer

KL_PLACES = {"in the reward (k1)": "", "in the loss (k2)": "k2", "in the loss (k3)": "k3"}
LOSS_TYPES = {"all tokens": "token", "each completion": "sequence", "longest completion": "constant"}
REFERENCE = ModelRole("The KL is to this model; the base, where none is given.", resident=True)


@dataclass(frozen=True)
class PolicySettings:
    rewards: tuple[str, ...] = setting(
        (), 'What a completion earns: KIND, KIND:MODEL or WEIGHT * KIND, such as reward_model:my-model, '
        '-0.05 * length. A weight of 0 measures without learning.',
    )  # fmt: skip
    num_generations: int = setting(4, "Completions of each prompt.", 1, 256, label="Completions per prompt")
    max_completion_length: int = setting(32, "Longer completions are cut.", 1, 8192, unit="tokens")
    beta: float = setting(0.05, "Weight of the KL to the reference.", 0.0, 100.0, step=0.01, label="KL weight (beta)")
    target_kl: float | None = setting(
        None, "KL to stay within, in nats per completion: beta rises above it. Empty: beta stays.", 0.01, 1000.0,
        label="KL target",
    )  # fmt: skip
    num_iterations: int = setting(
        2, "Updates from each batch of completions.", 1, 64, label="Updates per batch", renamed_from=("num_ppo_epochs",)
    )
    epsilon: float = setting(0.2, "The ratio to the old policy is clipped this far from 1.", 0.0, 10.0, more=True)
    missing_end_penalty: float = setting(
        1.0, "Taken from the score of a completion that is cut by length.", 0.0, 1000.0, more=True,
        renamed_from=("missing_eos_penalty",),
    )  # fmt: skip
    temperature: float = setting(1.0, "Completions are drawn at it, and measured at it.", 0.05, 10.0, more=True)
    kl: str = setting("in the reward (k1)", "Where the KL counts.", choices=tuple(KL_PLACES), more=True, label="KL")
    max_kl: float = setting(
        60.0, "The run stops where the KL of a completion is higher, in nats.", 0.1, 10_000.0, more=True,
        label="Highest KL",
    )  # fmt: skip
    forward_batch_size: int = setting(
        16, "Completions in one forward pass; fewer take less memory.", 1, 1024, more=True
    )

    def __post_init__(self) -> None:
        check_settings(self)
        read_parts(self.rewards)

    @property
    def parts(self) -> tuple[RewardPart, ...]:
        return read_parts(self.rewards)

    @property
    def kl_in_loss(self) -> str:
        """The estimate of the KL that is added to the loss; "" where the KL is taken from the reward."""
        return KL_PLACES[self.kl]

    def loss_shape(self) -> LossShape:
        return LossShape(self.epsilon, self.epsilon)


class PromptReader(CompletionReader):
    """Prompts, with the rows' answers where they have some; without a template conversations or inputs."""

    answered = False

    def plain(self, row: Example) -> list[TextExample]:
        answer = answer_of(row)
        if not self.context.chat:
            return [TextExample(_written(row), answer, row=row.key)]
        messages = tuple(turn.as_dict() for turn in row.messages) or ({"role": "user", "content": input_of(row)},)
        return [TextExample("", answer, messages, row.key)]


def _written(row: Example) -> str:
    from genai_lab.data.conversations import write_text

    return write_text(row.messages, cue=True) if row.messages else input_of(row)


class PolicyObjective(Objective):
    """A policy that writes, is rewarded and learns; what differs between algorithms is `estimator` and its settings."""

    estimator: str
    text_type = TextExample
    example_type = PromptExample
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    models: Mapping[str, ModelRole] = {"reference": REFERENCE}
    best_figure = "objective"
    greater_is_better = True
    loss_unit = "completion"
    reads_chat = True
    needs_whole_weights = True
    learns_policy = True
    rolls_out = True

    def learning_rate(self, method: Any, small: bool) -> float:
        """Rewards are noisier than texts; small bases that are trained whole need a gentler rate still."""
        share = 0.3 if method.trains_everything else 0.75
        return float(f"{method.rate * share if small else method.large_rate * share / 5:.3g}")

    def excludes(self, method: Any) -> str | None:
        if method.virtual_tokens(method.settings()):
            return (
                f"{method.title} puts virtual tokens before prompts; rollouts do not read them, so choose LoRA or full."
            )
        return super().excludes(method)

    def model_names(self, plan: TrainingPlan) -> dict[str, str]:
        return dict(plan.models) | reward_roles(self.settings_of(plan).parts)

    def model_roles(self, plan: TrainingPlan) -> dict[str, ModelRole]:
        reward = ModelRole("It rewards completions.", same_architecture=False, same_tokenizer=False)
        return dict(self.models) | dict.fromkeys(reward_roles(self.settings_of(plan).parts), reward)

    def check_model(self, role: str, card: Card, plan: TrainingPlan) -> None:
        for part in self.settings_of(plan).parts:
            if part.model and reward_roles(self.settings_of(plan).parts).get(role) == part.model:
                part.reward.check_model(card, part.settings)

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        check_columns(source, self.title, ("input", "messages", "prompt") if not source.templates else ())
        parts = self.settings_of(plan).parts
        if not any(part.learned for part in parts):
            raise LabError("No reward is chosen; name at least one with a weight, such as reward_model:my-model.")
        has_answers = any(role in source.roles for role in ("reference", "label"))
        for part in parts:
            if part.reward.needs_reference and not has_answers:
                raise LabError(
                    f"{source.name} has no column for the role reference, which the reward {part.label} compares with."
                )
        training = plan.training
        for name, value, rule in (
            ("gradient_accumulation_steps", training.gradient_accumulation_steps, 1),
            ("processes", training.processes, 1),
            ("gradient_checkpointing", training.gradient_checkpointing, False),
        ):
            if value != rule:
                raise BadSetting(name, value, f"{str(rule).lower()} for {self.title}; lower forward_batch_size instead")

    def context_needed(self, plan: TrainingPlan, architecture: Architecture) -> int:
        own = self.settings_of(plan).max_completion_length if architecture == "decoder-only" else 0
        return plan.training.max_length + own

    def holds_base(self, method: Any) -> bool:
        """The reference is the policy without its adapter, where PEFT can switch that off."""
        return not isinstance(method, PeftMethod)

    def rows_written(self, plan: TrainingPlan) -> int:
        return int(self.settings_of(plan).num_generations * plan.training.per_device_batch_size)

    def step_seconds(self, plan: TrainingPlan, batch: TimedBatch) -> float:
        """Completions are written, read twice (by policy and reference), and learned from in each iteration."""
        batches = math.ceil(self.rows_written(plan) / self.forward_rows(plan))
        iterations = self.settings_of(plan).num_iterations
        return batch.writing + batches * (iterations * batch.seconds + 2 * batch.forward)

    def evaluation_seconds(self, plan: TrainingPlan, batch: TimedBatch, rows: int) -> float:
        written = rows / self.rows_written(plan) * batch.writing
        return written + math.ceil(rows / self.forward_rows(plan)) * 2 * batch.forward

    def forward_rows(self, plan: TrainingPlan) -> int:
        settings = self.settings_of(plan)
        return min(settings.forward_batch_size, settings.num_generations * plan.training.per_device_batch_size)

    def read(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        return PromptReader(source, context).read(count, held)

    def encode(self, texts: Iterable[TextExample], context: EncodingContext) -> list[PromptExample]:
        """A prompt that is too long loses its beginning, that of an encoder-decoder its end."""
        rows = (_encode(text, context) for text in texts)
        return [row for row in rows if row is not None]

    def features(self, example: PromptExample, context: EncodingContext, rng: random.Random) -> PromptExample:
        return example

    def sequences(self, features: PromptExample) -> list[TokenFeatures]:
        return [TokenFeatures(features.ids, [IGNORED] * len(features.ids))]

    def collate(self, rows: Sequence[PromptExample], context: EncodingContext) -> dict[str, Any]:
        return {"prompts": list(rows)}

    def trainer(self, architecture: Architecture) -> "type[LabTrainer]":
        from genai_lab.training.trainers.policy import PolicyTrainer

        return PolicyTrainer

    def width(self, example: PromptExample, *, validation: bool = False) -> int:
        return len(example.ids)

    def grouping_key(self, example: PromptExample) -> tuple[int, int]:
        return len(example.ids), 0

    def lengths(self, example: PromptExample, architecture: Architecture) -> tuple[int, int]:
        return len(example.ids), 0

    def lengths_in_step(
        self, length: int, target: int, plan: TrainingPlan, architecture: Architecture
    ) -> tuple[int, int]:
        longest = self.settings_of(plan).max_completion_length
        return (length if architecture == "encoder-decoder" else length + longest), longest

    def show(self, features: PromptExample, width: int, context: EncodingContext) -> ShownRow:
        """The prompt, which the policy completes."""
        kinds: list[TokenKind] = ["read"] * len(features.ids)
        tokens = pad_tokens(context.tokenizer, features.ids, kinds, width)
        times = context.settings.num_generations
        beside = f"; its answer is {features.reference!r}" if features.reference else ""
        return ShownRow(tokens, (), f"completed {times} times and rewarded{beside}")

    def samples(self, features: Sequence[PromptExample], context: SamplingContext) -> list[ValidationSample]:
        """What the policy finds most likely."""
        encoding = context.encoding
        texts = generate_greedily(
            context.module, encoding.tokenizer, encoding.architecture, [row.ids for row in features],
            encoding.settings.max_completion_length,
        )  # fmt: skip
        return [
            ValidationSample(decode(encoding.tokenizer, row.ids), row.reference, text)
            for row, text in zip(features, texts, strict=True)
        ]

    def finish(self, module: Any, inputs: RunInputs) -> None:
        """A value head was for learning alone."""
        if hasattr(module, "value_head"):
            del module.value_head


class GroupObjective(PolicyObjective):
    """Compares completions of one prompt, so that there must be several."""

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        super().check(source, plan)
        if self.settings_of(plan).num_generations < 2:
            raise LabError(f"{self.title} compares completions of one prompt; set num_generations to at least 2.")


def _encode(text: TextExample, context: EncodingContext) -> PromptExample | None:
    tokenizer, length = context.tokenizer, context.training.max_length
    chat = bool(text.messages)
    if chat:
        rendered = render_messages(tokenizer, text.messages, "the base", add_generation_prompt=True)
        ids = encode_text(tokenizer, rendered)
    else:
        ids = encode_text(tokenizer, text.prompt, special=True)
    if context.architecture == "encoder-decoder":
        cut = len(ids) > length
        ids = [*ids[: length - 1], *end_of(tokenizer)] if cut else ids
    else:
        # Some tokenizers end every text; the completion goes on here.
        while len(ids) > 1 and ids[-1] == tokenizer.eos_token_id and not chat:
            ids.pop()
        cut, ids = len(ids) > length, ids[-length:]
    if not ids:
        return None
    prompt = json.dumps([dict(message) for message in text.messages]) if chat else text.prompt
    return PromptExample(ids, prompt, text.completion.strip(), chat, text.row, cut)
