"""What objectives on tokens share: cross-entropy, and tokens to show."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.training.collating import collate_tokens
from genai_lab.training.examples import (
    IGNORED,
    EncodedExample,
    MarkedTokens,
    ShownRow,
    TextExample,
    TokenFeatures,
    TokenKind,
    ValidationSample,
)
from genai_lab.training.generation import decode, generate_greedily
from genai_lab.training.objective import EncodingContext, Objective, ReadingContext, RowsRead, SamplingContext
from genai_lab.training.plan import Architecture, TrainingPlan
from genai_lab.training.row_reading import BlockReader, check_columns, check_text_column
from genai_lab.training.row_source import RowSource

if TYPE_CHECKING:
    from genai_lab.training.lab_trainer import LabTrainer


# What earlier runs called accuracy was that of tokens, the end among them.
OLD_CURVES: Mapping[str, str] = {"validation accuracy": "validation token accuracy"}


class TokenObjective(Objective):
    """Learns tokens by cross-entropy."""

    keeps_special_tokens = False  # in samples
    only_learned_logits = True
    old_curves = OLD_CURVES

    def collate(self, rows: Sequence[TokenFeatures], context: EncodingContext) -> dict[str, Any]:
        return collate_tokens(rows, context)

    def trainer(self, architecture: Architecture) -> "type[LabTrainer]":
        from genai_lab.training.trainers.tokens import TokenTrainer

        return TokenTrainer

    def lengths(self, example: EncodedExample, architecture: Architecture) -> tuple[int, int]:
        if architecture == "encoder-decoder" or not example.target:
            return super().lengths(example, architecture)
        return example.length(), sum(label != IGNORED for label in example.labels)

    def split(self, features: TokenFeatures, context: EncodingContext) -> tuple[list[int], list[int]]:
        """(ids of the prompt, ids of what is to be written); of several answers the last one is written."""
        learned = [index for index, label in enumerate(features.labels) if label != IGNORED]
        if context.architecture == "encoder-decoder":
            return features.ids, [features.labels[index] for index in learned]
        # A label stands where it is predicted.
        first = learned[-1]
        while first - 1 in learned:
            first -= 1
        return features.ids[: first + 1], features.ids[first + 1 : learned[-1] + 2]

    def samples(self, features: Sequence[TokenFeatures], context: SamplingContext) -> list[ValidationSample]:
        encoding = context.encoding
        read = encoding.tokenizer.decode if self.keeps_special_tokens else lambda ids: decode(encoding.tokenizer, ids)
        parts = [self.split(row, encoding) for row in features]
        texts = generate_greedily(
            context.module, encoding.tokenizer, encoding.architecture, [prompt for prompt, _ in parts],
            self.preview_tokens, one_at_a_time=context.one_at_a_time, skip_special=not self.keeps_special_tokens,
        )  # fmt: skip
        return [
            ValidationSample(read(prompt), read(target), text)
            for (prompt, target), text in zip(parts, texts, strict=True)
        ]

    def show(self, features: TokenFeatures, width: int, context: EncodingContext) -> ShownRow:
        tokenizer, seq2seq = context.tokenizer, context.architecture == "encoder-decoder"
        kinds = [self.kind_of(features, index, context) for index in range(len(features.ids))]
        learned = [label for label in features.labels if label != IGNORED]
        target = mark_tokens(tokenizer, learned, ["trained"] * len(learned)) if seq2seq else ()
        return ShownRow(pad_tokens(tokenizer, features.ids, kinds, width), target, str(tokenizer.decode(learned)))

    def kind_of(self, features: TokenFeatures, index: int, context: EncodingContext) -> TokenKind:
        """How the token at this position is shown."""
        if index in features.changed:
            return "masked" if features.ids[index] == context.tokenizer.mask_token_id else "corrupted"
        decoder_only = context.architecture == "decoder-only"
        return "trained" if decoder_only and index and features.labels[index - 1] != IGNORED else "read"


class TextBlockObjective(TokenObjective):
    """Continued pre-training: running text in blocks of equal length."""

    reads_blocks = True

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        check_columns(source, self.title, ())
        check_text_column(source)

    def read(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        return BlockReader(source, context).read(count, held)

    def split(self, features: TokenFeatures, context: EncodingContext) -> tuple[list[int], list[int]]:
        """The first half of the block, and what follows."""
        if context.architecture == "encoder-decoder":
            return super().split(features, context)
        ids = features.ids
        half = max(1, min(len(ids) // 2, len(ids) - self.preview_tokens))
        return ids[:half], ids[half : half + self.preview_tokens]


def blocks(texts: Iterable[TextExample], tokenizer: Any, length: int) -> list[EncodedExample]:
    """All texts behind one another, an end token after each, cut into blocks of `length`; a short rest stays."""
    examples: list[EncodedExample] = []
    ids: list[int] = []
    end = end_of(tokenizer)
    for text in texts:
        ids += [*encode_text(tokenizer, text.prompt), *end]
        while len(ids) >= length:
            examples.append(EncodedExample(ids[:length], []))
            ids = ids[length:]
    if len(ids) > 1 and (not examples or len(ids) >= length // 4):
        examples.append(EncodedExample(ids, []))
    return examples


def end_of(tokenizer: Any) -> list[int]:
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]


@clear_panics("The tokenizer")
def encode_text(tokenizer: Any, text: str, special: bool = False) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special, truncation=False, verbose=False)["input_ids"])


def mark_tokens(tokenizer: Any, ids: Sequence[int], kinds: Sequence[TokenKind]) -> MarkedTokens:
    """Each token as text, with how it is shown."""
    return tuple((_piece(tokenizer, token), kind) for token, kind in zip(ids, kinds, strict=True))


def pad_tokens(tokenizer: Any, ids: Sequence[int], kinds: Sequence[TokenKind], width: int) -> MarkedTokens:
    missing = width - len(ids)
    padding: list[TokenKind] = ["padded"] * missing
    return mark_tokens(tokenizer, [*ids, *[tokenizer.pad_token_id] * missing], [*kinds, *padding])


def _piece(tokenizer: Any, token: int) -> str:
    piece = tokenizer.convert_ids_to_tokens(token)
    if isinstance(piece, str) and piece.startswith("▁"):
        return piece.replace("▁", " ")
    return str(tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))
