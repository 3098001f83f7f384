"""Instruction tuning: the completion is learned, given its prompt."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.models.chat_tokens import is_answer, mark_answers
from genai_lab.settings import check_settings, setting
from genai_lab.training.examples import IGNORED, EncodedExample, TextExample, TokenFeatures
from genai_lab.training.objective import EncodingContext, ReadingContext, RowsRead
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture, Training, TrainingPlan
from genai_lab.training.row_reading import CompletionReader, check_columns
from genai_lab.training.row_source import RowSource
from genai_lab.training.token_objective import TokenObjective, encode_text, end_of

TURNS = ("all", "last")


@dataclass(frozen=True)
class Settings:
    turns: str = setting("all", "Of conversations without a template: the answers that are learned.", choices=TURNS)

    def __post_init__(self) -> None:
        check_settings(self)


class Instruction(TokenObjective):
    name = "instruction"
    title = "Instruction tuning"
    about = "The model learns to write the completion of a prompt; tokens of the prompt are read and not learned."
    source = "Wei et al., 2022: Finetuned language models are zero-shot learners"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    settings = Settings
    reads_chat = True
    scores_completions = True

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        check_columns(source, self.title, ("reference", "label", "messages"))
        if not source.templates and "messages" not in source.roles:
            raise LabError(f"{source.name} has no template; choose at least one, such as 'plain'.")

    def read(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        return CompletionReader(source, context).read(count, held)

    def encode(self, texts: Iterable[TextExample], context: EncodingContext) -> list[EncodedExample]:
        """A prompt that is too long loses its beginning (decoder-only) or its end; the completion has priority."""
        encode = _seq2seq if context.architecture == "encoder-decoder" else _decoder
        examples = (encode(text, context.tokenizer, context.training) for text in texts)
        return [example for example in examples if example is not None]

    def features(self, example: EncodedExample, context: EncodingContext, rng: random.Random) -> TokenFeatures:
        if context.architecture == "encoder-decoder":
            return TokenFeatures(example.ids, example.target)
        labels = [IGNORED] * (len(example.ids) - 1) + example.labels + [IGNORED]
        return TokenFeatures(example.ids + example.target, labels)


def _seq2seq(text: TextExample, tokenizer: Any, training: Training) -> EncodedExample | None:
    end = end_of(tokenizer)
    ids = encode_text(tokenizer, text.prompt, special=True)
    target = [*encode_text(tokenizer, text.completion), *end]
    cut = len(ids) > training.max_length or len(target) > training.max_target_length
    if len(ids) > training.max_length:
        ids = [*ids[: training.max_length - len(end)], *end]
    if len(target) <= len(end) or not ids:
        return None
    return EncodedExample(ids, target[: training.max_target_length], cut)


def _decoder(text: TextExample, tokenizer: Any, training: Training) -> EncodedExample | None:
    if text.messages:
        return _chat(text, tokenizer, training.max_length)
    ids = encode_text(tokenizer, text.prompt, special=True)
    # Some tokenizers end every text; the completion goes on here.
    while ids and ids[-1] == tokenizer.eos_token_id and len(ids) > 1:
        ids.pop()
    target = encode_text(tokenizer, text.completion) + end_of(tokenizer)
    if not ids or not text.completion:
        return None
    cut = len(ids) + len(target) > training.max_length
    target = target[: max(1, training.max_length - 1)]
    room = training.max_length - len(target)
    return EncodedExample(ids[-room:], target, cut)


def _chat(text: TextExample, tokenizer: Any, length: int) -> EncodedExample | None:
    """A conversation in the chat template up to its last answer that is not empty; None where there is none.

    One that is too long is cut around its last answer.
    """
    messages: list[dict[str, str]] = list(text.messages)
    if not text.full_conversation:
        messages.append({"role": "assistant", "content": text.completion})
        if not is_answer(messages[-1]):
            return None
    while messages and not is_answer(messages[-1]):
        messages.pop()
    if len(messages) < 2:
        return None
    conversation = mark_answers(tokenizer, messages, last=not text.full_conversation)
    begin, end = conversation.answers[-1]
    cut = end > length
    # A long conversation is cut to end with its last answer, or with as much of that as there is room for.
    stop = min(len(conversation.ids), max(length, end))
    stop = min(stop, max(1, begin) - 1 + length) if end - begin >= length else stop
    start = max(0, stop - length)
    ids = conversation.ids[start:stop]
    answers = [(max(1, a - start), min(b, stop) - start) for a, b in conversation.answers if min(b, stop) - start > 1]
    first = answers[0][0]
    edges = [0, *(edge - first for pair in answers for edge in pair), len(ids) - first]
    unlearned = tuple((a, b) for a, b in zip(edges[2::2], edges[3::2], strict=True) if b > a)
    return EncodedExample(ids[:first], ids[first:], cut, unlearned=unlearned)


OBJECTIVES.register("instruction")(Instruction())
