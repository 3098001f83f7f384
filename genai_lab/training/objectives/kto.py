"""Kahneman-Tversky optimisation: completions that are good or bad by themselves, such as thumbs up and down.

With r(x, y) = log p(y|x) / p0(y|x), p0 the reference, and z0 the mean of r over completions of other prompts, at least
0 (Ethayarajh et al., 2024, arXiv 2402.01306, eq. 7):

    loss = mean of lambda_y - v(x, y)
    v(x, y) = lambda_D sigmoid(beta (r(x, y) - z0)) for desirable completions
    v(x, y) = lambda_U sigmoid(beta (z0 - r(x, y))) for undesirable ones

By default the rarer side is weighted up until lambda_D n_D / (lambda_U n_U) lies in [1, 4/3], the range of eq. 8.
Decoder-only models are trained by TRL's KTOTrainer; encoder-decoders, which it does not take, by `kto_loss`.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from genai_lab.errors import BadSetting, LabError
from genai_lab.settings import check_settings, setting
from genai_lab.training.collating import collate_tokens, completion_mask
from genai_lab.training.examples import EncodedExample, ShownRow, TextExample, TokenFeatures, ValidationSample
from genai_lab.training.objective import (
    EncodingContext,
    ModelRole,
    Objective,
    ReadingContext,
    RowsRead,
    SamplingContext,
)
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.objectives.instruction import Instruction
from genai_lab.training.pair_objective import completion_features, encode_side, previous_unlike
from genai_lab.training.plan import Architecture, TrainingPlan
from genai_lab.training.preference_data import check_pairs, divide_votes
from genai_lab.training.row_reading import input_of, split_rows
from genai_lab.training.row_source import MOST_ROWS, RowSource, columns_for
from genai_lab.training.token_objective import TokenObjective

if TYPE_CHECKING:
    from genai_lab.training.lab_trainer import LabTrainer

GOOD = ("true", "1", "1.0", "yes", "good", "up", "thumbs up", "👍", "+1", "desirable", "chosen")
BAD = ("false", "0", "0.0", "no", "bad", "down", "thumbs down", "👎", "-1", "undesirable", "rejected")
COMPLETIONS = ("completion", "response", "answer", "output")
LABELS = ("label", "thumbs", "thumb", "rating", "feedback")
HIGHEST_RATIO = 4 / 3
MODELS = {
    "reference": ModelRole(
        "Log-probabilities are compared with those of this model; the base, where none is given.", resident=False
    )
}


@dataclass(frozen=True)
class Settings:
    beta: float = setting(0.1, "How much it costs to move away from the base.", 0.0001, 100.0, step=0.05)
    desirable_weight: float | None = setting(None, "Of good completions; empty: balanced.", 0.0, 1000.0, step=0.1)
    undesirable_weight: float | None = setting(None, "Of bad completions; empty: balanced.", 0.0, 1000.0, step=0.1)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class LabelledText:
    """A completion and whether it is desirable."""

    prompt: str
    completion: str
    desirable: bool
    messages: tuple[dict[str, str], ...] = ()
    row: int = 0


@dataclass(frozen=True)
class LabelledExample:
    """`mismatched` has the same prompt with the completion of another row, from which z0 is estimated."""

    completion: EncodedExample
    mismatched: EncodedExample
    desirable: bool

    @property
    def cut(self) -> bool:
        return self.completion.cut


@dataclass(frozen=True)
class LabelledFeatures:
    """`reference` are the log-probabilities of both under the reference, in nats."""

    completion: TokenFeatures
    mismatched: TokenFeatures
    desirable: bool
    reference: tuple[float, ...] | None = None

    @property
    def mark(self) -> str:
        return "good" if self.desirable else "bad"


class Kto(Objective):
    name = "kto"
    title = "Kahneman-Tversky optimisation (KTO)"
    about = "The model learns to find good completions more likely than before, and bad ones less; no pairs are needed."
    source = "Ethayarajh et al., 2024: KTO, model alignment as prospect theoretic optimization, eq. 7"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    models = MODELS
    settings = Settings
    passes_without_learning = 1
    text_type = LabelledText
    example_type = LabelledExample
    rate_share = 0.05
    loss_unit = "completion"
    reads_chat = True
    needs_whole_weights = True
    sequences_per_row = 2
    learns_policy = True
    reads_votes_as = "labels"

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        if source.templates:
            raise LabError("Labelled completions are read as they are; leave the templates empty.")
        if plan.training.per_device_batch_size < 2:
            raise BadSetting("per_device_batch_size", 1, "at least 2 for KTO, which compares rows of a batch")
        if _label_columns(source) is None:
            check_pairs(source)

    def read(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        """Rows with a label, or both sides of preference pairs, each by itself."""
        columns = _label_columns(source)
        if columns is None:
            return self._unpair(source, context, count, held)
        split = split_rows(source, context.plan, min(count, MOST_ROWS), held, answered=False)
        train, validation = ([_labelled_text(row, columns, source, context.chat) for row in rows] for rows in split)
        return RowsRead([train], validation, len(train))

    def _unpair(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        division = divide_votes(source, context.plan)
        rng = random.Random(f"unpaired {context.plan.training.seed}")
        texts, checks = (
            [
                LabelledText("" if context.chat else vote.prompt, text, good, vote.messages * context.chat, vote.row)
                for vote in votes
                for text, good in ((vote.chosen, True), (vote.rejected, False))
            ]
            for votes in (division.train, division.validation)
        )
        rng.shuffle(texts)
        return RowsRead([texts[:count]], checks[:held], 2 * len(division.train))

    def encode(self, texts: Iterable[LabelledText], context: EncodingContext) -> list[LabelledExample]:
        """Each row with the completion of the last row before it that has another prompt as the mismatched one."""
        rows = [text for text in texts if text.completion.strip()]
        examples = []
        for text, before in zip(rows, previous_unlike(rows, lambda row: (row.prompt, row.messages)), strict=True):
            completion, mismatched = (_encode(text, other.completion, context) for other in (text, before))
            if completion is not None and mismatched is not None:
                examples.append(LabelledExample(completion, mismatched, text.desirable))
        return examples

    def features(self, example: LabelledExample, context: EncodingContext, rng: random.Random) -> LabelledFeatures:
        completion, mismatched = (
            TokenFeatures(side.ids, side.target)
            if context.architecture == "encoder-decoder"
            else completion_features(side)
            for side in (example.completion, example.mismatched)
        )
        return LabelledFeatures(completion, mismatched, example.desirable)

    def sequences(self, features: LabelledFeatures) -> list[TokenFeatures]:
        return [features.completion, features.mismatched]

    def collate(self, rows: Sequence[LabelledFeatures], context: EncodingContext) -> dict[str, Any]:
        """(2B, T): all completions before all mismatched ones; desirable (B,) and, where known, reference (B, 2)."""
        import torch

        batch = collate_tokens([*(row.completion for row in rows), *(row.mismatched for row in rows)], context)
        batch["desirable"] = torch.tensor([row.desirable for row in rows])
        references = [row.reference for row in rows if row.reference is not None]
        if references:
            batch["reference"] = torch.tensor(references, dtype=torch.float32)
        return batch

    def trainer(self, architecture: Architecture) -> "type[LabTrainer]":
        return _trainer_class(architecture == "encoder-decoder")

    def width(self, example: LabelledExample, *, validation: bool = False) -> int:
        return max(example.completion.length(), example.mismatched.length())

    def grouping_key(self, example: LabelledExample) -> tuple[int, int]:
        return self.width(example), len(example.completion.target)

    def lengths(self, example: LabelledExample, architecture: Architecture) -> tuple[int, int]:
        sides = (example.completion, example.mismatched)
        read, written = zip(*(super(Kto, self).lengths(side, architecture) for side in sides), strict=True)
        return max(read), max(written)

    def show(self, features: LabelledFeatures, width: int, context: EncodingContext) -> ShownRow:
        row = TokenObjective().show(features.completion, width, context)
        return ShownRow(row.tokens, row.target, f"{features.mark}: {row.label}")

    def samples(self, features: Sequence[LabelledFeatures], context: SamplingContext) -> list[ValidationSample]:
        """Its own completion beside the labelled one."""
        samples = TokenObjective().samples([row.completion for row in features], context)
        return [
            ValidationSample(sample.prompt, f"{row.mark}: {sample.reference}", sample.text)
            for sample, row in zip(samples, features, strict=True)
        ]


def balanced_weights(settings: Settings, good: int, bad: int) -> tuple[float, float]:
    """(desirable, undesirable) weights: those of the settings, or such that the rule of balance holds."""
    desirable, undesirable = settings.desirable_weight, settings.undesirable_weight
    if desirable is not None or undesirable is not None or not good or not bad:
        return 1.0 if desirable is None else desirable, 1.0 if undesirable is None else undesirable
    return max(1.0, bad / good), max(1.0, good / bad / HIGHEST_RATIO)


def kto_loss(policy: Any, reference: Any, desirable: Any, z0: Any, beta: float, weights: tuple[float, float]) -> Any:
    """The mean loss of log-probabilities (B,) in nats."""
    import torch

    sign = torch.where(desirable, 1.0, -1.0)
    weight = torch.where(desirable, *weights)
    return (weight * (1 - torch.sigmoid(beta * sign * (policy - reference - z0)))).mean()


class KtoSteps:
    """What both trainers add: one reading of each batch, the loss, and figures of rewards."""

    model: Any
    objective: Any

    def prepare(self: Any, setup: Any) -> None:
        settings = setup.inputs.objective_settings
        labels = [example.desirable for examples in setup.train.examples for example in examples]
        self.beta = settings.beta
        good, bad = sum(labels), len(labels) - sum(labels)
        self.desirable_weight, self.undesirable_weight = balanced_weights(settings, good, bad)
        self.rewards_seen: list[tuple[Any, Any]] = []
        self.read_references()

    def compute_loss(
        self: Any, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        import torch

        size = len(inputs["desirable"])
        tokens = self.token_log_probs(model, inputs, slice(0, size))
        with torch.no_grad():
            mismatched = self.token_log_probs(model, inputs, slice(size, None)).sum(-1)
            rewards = self.beta * (tokens.detach().sum(-1) - inputs["reference"][:, 0])
        self.rewards_seen.append((rewards, inputs["desirable"]))
        loss = self.loss_of(tokens, mismatched, inputs)
        penalty = self.penalty()
        loss = loss if penalty is None else loss + penalty * self.args.gradient_accumulation_steps
        return (loss, tokens) if return_outputs else loss

    def measure(self: Any) -> dict[str, float]:
        """Mean loss per completion over all validation rows, and figures of their rewards."""
        seen, self.rewards_seen = self.rewards_seen, []
        total, count = 0.0, 0
        for inputs in self.validation_batches():
            total += float(self.compute_loss(self.model, inputs)) * len(inputs["desirable"])
            count += len(inputs["desirable"])
        figures = _figures(self.rewards_seen)
        self.rewards_seen = seen
        return {"loss": total / max(1, count), **figures}

    def curves(self: Any) -> dict[str, float]:
        figures, self.rewards_seen = _figures(self.rewards_seen), []
        return {f"training {name}": value for name, value in figures.items()}


class DecoderSteps(KtoSteps):
    """TRL's loss, of the log-probabilities that were read."""

    columns = ("prompt_ids", "completion_ids", "label")

    def __init__(self: Any, setup: Any) -> None:
        from trl import KTOConfig

        from genai_lab.training.lab_trainer import arguments
        from genai_lab.training.trainers.dpo import AbsentModel

        args = arguments(setup.inputs, setup.out, KTOConfig, max_length=None, router_aux_loss_coef=0.0)
        super().__init__(setup, args=args, ref_model=AbsentModel(setup.module.config))  # type: ignore[call-arg]
        self.ref_model, self.precompute_ref_logps = None, True
        self.prepare(setup)

    def _compute_kl_logps(self: Any, model: Any, batch: dict[str, Any]) -> Any:
        return batch["KL_logps"]

    def loss_of(self: Any, tokens: Any, mismatched: Any, inputs: dict[str, Any]) -> Any:
        from trl import KTOTrainer

        size = len(tokens)
        zeros = tokens.detach().new_zeros(tokens.shape)[:, :-1]
        outputs = SimpleNamespace(log_probs=tokens[:, :-1], entropy=zeros, mean_logits=zeros)
        batch = {
            "input_ids": inputs["input_ids"][:size],
            "attention_mask": inputs["attention_mask"][:size],
            "completion_mask": completion_mask(inputs["labels"][:size]),
            "label": inputs["desirable"],
            "ref_logps": inputs["reference"][:, 0],
            "ref_KL_logps": inputs["reference"][:, 1],
            "KL_logps": mismatched,
        }
        return KTOTrainer.compute_loss(self, lambda **_: outputs, batch)


class Seq2SeqSteps(KtoSteps):
    """Our own lines, for what TRL does not take."""

    def __init__(self: Any, setup: Any) -> None:
        from genai_lab.training.lab_trainer import arguments

        super().__init__(setup, args=arguments(setup.inputs, setup.out))  # type: ignore[call-arg]
        self.model_accepts_loss_kwargs = False  # so that losses of accumulated batches are averaged
        self.prepare(setup)

    def loss_of(self: Any, tokens: Any, mismatched: Any, inputs: dict[str, Any]) -> Any:
        reference = inputs["reference"]
        z0 = self.accelerator.gather((mismatched - reference[:, 1]).mean()).mean().clamp(min=0)
        weights = self.desirable_weight, self.undesirable_weight
        return kto_loss(tokens.sum(-1), reference[:, 0], inputs["desirable"], z0, self.beta, weights)


@lru_cache(maxsize=2)
def _trainer_class(seq2seq: bool) -> Any:
    """The trainer, put together here, since its bases are heavy to import."""
    from transformers import Trainer
    from trl import KTOTrainer

    from genai_lab.training.trainers.pairs import EncodedDataTrainer
    from genai_lab.training.trainers.references import ReferencedTrainer

    if seq2seq:
        return type("Seq2SeqKtoTrainer", (Seq2SeqSteps, ReferencedTrainer, Trainer), {})
    return type("DecoderKtoTrainer", (DecoderSteps, EncodedDataTrainer, ReferencedTrainer, KTOTrainer), {})


def _figures(seen: list[tuple[Any, Any]]) -> dict[str, float]:
    """Mean rewards of good and bad completions, and how far they are apart."""
    import torch

    if not seen:
        return {}
    rewards, desirable = (torch.cat(parts) for parts in zip(*seen, strict=True))
    sides = {"desirable reward": rewards[desirable], "undesirable reward": rewards[~desirable]}
    means = {name: float(side.mean()) for name, side in sides.items() if len(side)}
    if len(means) == 2:
        means["reward margin"] = means["desirable reward"] - means["undesirable reward"]
    return means


def _encode(text: LabelledText, completion: str, context: EncodingContext) -> EncodedExample | None:
    if context.architecture == "encoder-decoder":
        return next(iter(Instruction().encode([TextExample(text.prompt, completion)], context)), None)
    prompt = text.messages or text.prompt
    return encode_side(context.tokenizer, prompt, completion, context.training.max_length)


def _label_columns(source: RowSource) -> tuple[str, str] | None:
    """(the column of completions, the column of labels); None where one of the two is missing."""
    chosen = []
    for role, names in (("reference", COMPLETIONS), ("label", LABELS)):
        columns = (*source.roles.get(role, ()), *(name for name in names if name in source.column_names))
        if not columns:
            return None
        chosen.append(columns[0])
    has_pairs = all(columns_for(source, role) for role in ("chosen", "rejected"))
    return None if has_pairs else (chosen[0], chosen[1])


def _labelled_text(row: Any, columns: tuple[str, str], source: RowSource, chat: bool) -> LabelledText:
    """A row with its completion and label from `columns`; its prompt as text, or as the messages of a chat."""
    completion, label = (row.fields.get(column, "") for column in columns)
    good = _is_good(label, source, row.key)
    if not chat:
        return LabelledText(input_of(row), completion, good, row=row.key)
    messages = tuple(turn.as_dict() for turn in row.messages) or ({"role": "user", "content": input_of(row)},)
    return LabelledText("", completion, good, messages, row.key)


def _is_good(text: str, source: RowSource, row: int) -> bool:
    word = text.strip().lower().replace("_", " ")
    if word not in (*GOOD, *BAD):
        raise LabError(
            f"Row {row + 1:,} of {source.name} has the label {text[:40]!r}, which must say good or bad, such as true."
        )
    return word in GOOD


OBJECTIVES.register("kto")(Kto())
