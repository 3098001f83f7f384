"""Masked language modelling: hidden tokens are learned from both sides."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genai_lab.errors import LabError
from genai_lab.settings import check_settings, read_settings, setting
from genai_lab.training.examples import IGNORED, EncodedExample, TextExample, TokenFeatures, ValidationSample
from genai_lab.training.generation import decode
from genai_lab.training.module_kinds import MASKED_LANGUAGE_MODEL
from genai_lab.training.objective import EncodingContext, SamplingContext
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture, TrainingPlan
from genai_lab.training.token_objective import TextBlockObjective, blocks, encode_text


@dataclass(frozen=True)
class Settings:
    mlm_probability: float = setting(
        0.15, "Share of the tokens that are hidden.", 0.01, 0.9, step=0.01, label="Share hidden",
        renamed_from=("rate",),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)


class MaskedLanguageModelling(TextBlockObjective):
    name = "mlm"
    title = "Masked language modelling (MLM)"
    about = "Continued pre-training of an encoder: hidden tokens are predicted from both sides."
    source = "Devlin et al., 2019: BERT, section 3.1 (80 % mask, 10 % another token, 10 % unchanged)"
    architectures: tuple[Architecture, ...] = ("encoder",)
    module_kind = MASKED_LANGUAGE_MODEL
    settings = Settings

    def encode(self, texts: Iterable[TextExample], context: EncodingContext) -> list[EncodedExample]:
        tokenizer = context.tokenizer
        if tokenizer.mask_token_id is None:
            raise LabError(
                "The tokenizer has no mask token, which masked language modelling needs; choose another model."
            )
        special = encode_text(tokenizer, "", special=True)
        half = len(special) // 2
        return [
            EncodedExample([*special[:half], *block.ids, *special[half:]], [])
            for block in blocks(texts, tokenizer, max(4, context.training.max_length - len(special)))
        ]

    def features(self, example: EncodedExample, context: EncodingContext, rng: random.Random) -> TokenFeatures:
        tokenizer = context.tokenizer
        special = set(tokenizer.all_special_ids)
        positions = [index for index, token in enumerate(example.ids) if token not in special]
        count = max(1, round(context.settings.mlm_probability * len(positions))) if positions else 0
        ids, labels = list(example.ids), [IGNORED] * len(example.ids)
        hidden = sorted(rng.sample(positions, count))
        for index in hidden:
            labels[index] = example.ids[index]
            share = rng.random()
            if share < 0.8:
                ids[index] = tokenizer.mask_token_id
            elif share < 0.9:
                ids[index] = rng.randrange(len(tokenizer))
        return TokenFeatures(ids, labels, tuple(hidden))

    def learned_tokens(self, length: int, plan: TrainingPlan) -> int:
        settings = read_settings(Settings, plan.objective_settings, self.title)
        return max(1, round(settings.mlm_probability * length))

    def samples(self, features: Sequence[TokenFeatures], context: SamplingContext) -> list[ValidationSample]:
        """The hidden tokens as the module finds them."""
        tokenizer = context.encoding.tokenizer
        batch = self.collate(features, context.encoding)
        inputs = {name: value.to(context.module.device) for name, value in batch.items() if name != "labels"}
        likeliest = context.module(**inputs).logits.argmax(-1).tolist()
        return [
            ValidationSample(
                tokenizer.decode(row.ids),
                decode(tokenizer, [label for label in row.labels if label != IGNORED]),
                decode(tokenizer, [tokens[index] for index in row.changed]),
            )
            for row, tokens in zip(features, likeliest, strict=True)
        ]


OBJECTIVES.register("mlm")(MaskedLanguageModelling())
