"""Sequence classification: a class for the whole text, by a head on an encoder."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genai_lab.errors import LabError
from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.training.collating import collate_inputs
from genai_lab.training.examples import EncodedExample, ShownRow, TextExample, TokenFeatures, ValidationSample
from genai_lab.training.generation import decode
from genai_lab.training.module_kinds import CLASSIFIER
from genai_lab.training.objective import EncodingContext, Objective, ReadingContext, RowsRead, SamplingContext
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture, TrainingPlan
from genai_lab.training.row_reading import LabelReader, answer_of, check_columns, check_text_column
from genai_lab.training.row_source import MOST_ROWS, RowSource
from genai_lab.training.token_objective import pad_tokens

if TYPE_CHECKING:
    from genai_lab.training.lab_trainer import LabTrainer

MOST_LABELS = 200


@dataclass(frozen=True)
class Settings:
    pass


class Classification(Objective):
    name = "classification"
    title = "Sequence classification"
    about = "An encoder learns to name the class of a text; a new head is added if the classes differ."
    source = "Devlin et al., 2019: BERT, section 4.1"
    architectures: tuple[Architecture, ...] = ("encoder",)
    module_kind = CLASSIFIER
    settings = Settings
    sample_labels = ("a", "b")

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        check_columns(source, self.title, ("label", "reference"))
        check_text_column(source)

    def labels(self, sources: Sequence[RowSource]) -> tuple[str, ...]:
        classes: set[str] = set()
        for source in sources:
            labels = source.labels() if "label" in source.roles else ()
            classes |= set(labels or {answer_of(row) for row in source.examples(None, MOST_ROWS)})
        classes.discard("")
        if len(classes) < 2:
            raise LabError(
                f"All rows have one class ({next(iter(classes), 'none')!r}); classification needs two classes at least."
            )
        if len(classes) > MOST_LABELS:
            raise LabError(
                f"There are {len(classes):,} classes, more than {MOST_LABELS}; is the right column the label?"
            )
        return tuple(sorted(classes))

    def read(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        return LabelReader(source, context).read(count, held)

    def encode(self, texts: Iterable[TextExample], context: EncodingContext) -> list[EncodedExample]:
        classes = {label: index for index, label in enumerate(context.labels)}
        examples = []
        for text in texts:
            if text.completion not in classes or not text.prompt.strip():
                continue
            with clear_panics("The tokenizer"):
                full = context.tokenizer(text.prompt, truncation=False, verbose=False)["input_ids"]
                ids = context.tokenizer(text.prompt, truncation=True, max_length=context.training.max_length)[
                    "input_ids"
                ]
            examples.append(EncodedExample(list(ids), [classes[text.completion]], len(full) > len(ids)))
        return examples

    def features(self, example: EncodedExample, context: EncodingContext, rng: random.Random) -> TokenFeatures:
        return TokenFeatures(example.ids, example.target)

    def collate(self, rows: Sequence[TokenFeatures], context: EncodingContext) -> dict[str, Any]:
        """input_ids, attention_mask (B, T) and labels (B,)."""
        import torch

        return collate_inputs(rows, context) | {"labels": torch.tensor([row.labels[0] for row in rows])}

    def trainer(self, architecture: Architecture) -> "type[LabTrainer]":
        from genai_lab.training.trainers.tokens import ClassTrainer

        return ClassTrainer

    def lengths(self, example: EncodedExample, architecture: Architecture) -> tuple[int, int]:
        return len(example.ids), 0

    def show(self, features: TokenFeatures, width: int, context: EncodingContext) -> ShownRow:
        tokens = pad_tokens(context.tokenizer, features.ids, ["read"] * len(features.ids), width)
        return ShownRow(tokens, (), context.labels[features.labels[0]])

    def samples(self, features: Sequence[TokenFeatures], context: SamplingContext) -> list[ValidationSample]:
        """The likeliest class and its probability."""
        encoding = context.encoding
        batch = self.collate(features, encoding)
        inputs = {name: value.to(context.module.device) for name, value in batch.items() if name != "labels"}
        shares = context.module(**inputs).logits.float().softmax(-1)
        return [
            ValidationSample(
                decode(encoding.tokenizer, row.ids),
                encoding.labels[row.labels[0]],
                f"{encoding.labels[int(share.argmax())]} ({float(share.max()):.2f})",
            )
            for row, share in zip(features, shares, strict=True)
        ]


OBJECTIVES.register("classification")(Classification())
