"""Instruction tuning: the completion is learned, given its prompt."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.models.chat_tokens import mark_answers
from genai_lab.settings import check_settings, setting
from genai_lab.training import IGNORED, Architecture, Training
from genai_lab.training.objectives import OBJECTIVES, Drawn, Head, Item, Text, encoded, end_of

TURNS = ("all", "last")


@dataclass(frozen=True)
class Settings:
    turns: str = setting("all", "Of conversations without a template: the answers that are learned.", choices=TURNS)

    def __post_init__(self) -> None:
        check_settings(self)


class Instruction:
    name = "instruction"
    title = "Instruction tuning"
    about = "The model learns to write the completion of a prompt; tokens of the prompt are read and not learned."
    source = "Wei et al., 2022: Finetuned language models are zero-shot learners"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder-decoder")
    needs = "reference"
    head: Head = "lm"
    settings = Settings

    def items(
        self,
        texts: Iterable[Text],
        tokenizer: Any,
        architecture: Architecture,
        training: Training,
        labels: Sequence[str],
    ) -> list[Item]:
        """A prompt that is too long loses its beginning (decoder-only) or its end; the completion is kept first."""
        make = _pair if architecture == "encoder-decoder" else _line
        return [item for text in texts if (item := make(text, tokenizer, training)) is not None]

    def draw(self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any) -> Drawn:
        if architecture == "encoder-decoder":
            return Drawn(item.ids, item.target)
        ids = item.ids + item.target
        labels = [IGNORED] * (len(item.ids) - 1) + item.labels + [IGNORED]
        return Drawn(ids, labels)


def _pair(text: Text, tokenizer: Any, training: Training) -> Item | None:
    end = end_of(tokenizer)
    ids = encoded(tokenizer, text.prompt, special=True)
    target = [*encoded(tokenizer, text.completion), *end]
    cut = len(ids) > training.max_length or len(target) > training.max_target_length
    if len(ids) > training.max_length:
        ids = [*ids[: training.max_length - len(end)], *end]
    if len(target) <= len(end) or not ids:
        return None
    return Item(ids, target[: training.max_target_length], cut)


def _line(text: Text, tokenizer: Any, training: Training) -> Item | None:
    if text.messages:
        return _chat(text, tokenizer, training.max_length)
    ids = encoded(tokenizer, text.prompt, special=True)
    # Some tokenizers end every text; the completion goes on here.
    while ids and ids[-1] == tokenizer.eos_token_id and len(ids) > 1:
        ids.pop()
    target = encoded(tokenizer, text.completion) + end_of(tokenizer)
    if not ids or not text.completion:
        return None
    cut = len(ids) + len(target) > training.max_length
    target = target[: max(1, training.max_length - 1)]
    room = training.max_length - len(target)
    return Item(ids[-room:], target, cut)


def _chat(text: Text, tokenizer: Any, length: int) -> Item | None:
    """A conversation in the chat template; one that is too long is cut around its last answer."""
    messages: list[dict[str, str]] = list(text.messages)
    if not text.whole:
        if not text.completion:
            return None
        messages.append({"role": "assistant", "content": text.completion})
    made = mark_answers(tokenizer, messages, last=not text.whole)
    begin, end = made.answers[-1]
    cut = end > length
    # What is left of a long conversation ends with its last answer, or with as much of that as there is room for.
    stop = min(len(made.ids), max(length, end))
    stop = min(stop, max(1, begin) - 1 + length) if end - begin >= length else stop
    start = max(0, stop - length)
    ids = made.ids[start:stop]
    answers = [(max(1, a - start), min(b, stop) - start) for a, b in made.answers if min(b, stop) - start > 1]
    first = answers[0][0]
    edges = [0, *(edge - first for pair in answers for edge in pair), len(ids) - first]
    unlearned = tuple((a, b) for a, b in zip(edges[2::2], edges[3::2], strict=True) if b > a)
    return Item(ids[:first], ids[first:], cut, unlearned=unlearned)


OBJECTIVES.register("instruction")(Instruction())
