"""Causal language modelling: every token is learned from those before it."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from genai_lab.training.examples import IGNORED, EncodedExample, TextExample, TokenFeatures
from genai_lab.training.objective import EncodingContext
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture
from genai_lab.training.token_objective import TextBlockObjective, blocks


@dataclass(frozen=True)
class Settings:
    pass


class CausalLanguageModelling(TextBlockObjective):
    name = "clm"
    title = "Causal language modelling (CLM)"
    about = "Continued pre-training on plain text: every token is predicted from those before it, in full blocks."
    source = "Radford et al., 2018: Improving language understanding by generative pre-training; eq. 1"
    architectures: tuple[Architecture, ...] = ("decoder-only",)
    settings = Settings

    def encode(self, texts: Iterable[TextExample], context: EncodingContext) -> list[EncodedExample]:
        return blocks(texts, context.tokenizer, context.training.max_length)

    def features(self, example: EncodedExample, context: EncodingContext, rng: random.Random) -> TokenFeatures:
        return TokenFeatures(example.ids, [*example.ids[1:], IGNORED])


OBJECTIVES.register("clm")(CausalLanguageModelling())
