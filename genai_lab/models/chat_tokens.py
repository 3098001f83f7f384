"""A conversation as the tokens that a model reads in its chat template, with those of the answers marked.

The tokens are the template's own for the whole conversation, and begin with exactly what a chat would send to have
the answer written, so that a model is tuned in the form in which it is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from genai_lab.errors import ModelError
from genai_lab.models.chat import render_messages
from genai_lab.models.tokenizer_panics import clear_panics

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Marked:
    """`ids` of the conversation; `answers` are the places (start, end) of the answers, each with its end token."""

    ids: list[int]
    answers: tuple[tuple[int, int], ...]


def mark_answers(tokenizer: Any, messages: Messages, *, last: bool = False, name: str = "the base") -> Marked:
    """The conversation, which ends with an answer, and all of its answers, or the last one alone.

    Of all answers, an empty one is left out, and so is a first turn, before which nothing was asked. Raises ModelError
    where the template refuses the messages or does not end what it began.
    """
    places = [
        index
        for index, message in enumerate(messages)
        if (message["role"] == "assistant" if last else index and is_answer(message))
    ]
    if not places or places[-1] != len(messages) - 1:
        raise ModelError("The conversation does not end with an answer of the assistant.")
    text = render_messages(tokenizer, messages, name, add_generation_prompt=False)
    cuts = []
    for index in places[-1:] if last else places:
        start = _start(tokenizer, messages, index, text, name)
        cuts.append((start, _end(tokenizer, messages, index, text, name)))
    pieces = _pieces(tokenizer, text, [edge for pair in cuts for edge in pair])
    edges = [0]
    for piece in pieces:
        edges.append(edges[-1] + len(piece))
    ids = [token for piece in pieces for token in piece]
    answers = [(edges[2 * n + 1], _answer_end(tokenizer, ids, *edges[2 * n + 1 : 2 * n + 3])) for n in range(len(cuts))]
    if not _ends(tokenizer, ids[answers[-1][1] - 1]) and tokenizer.eos_token_id is not None:
        # The template sets no end, at which a completion could stop.
        ids = [*ids[: answers[-1][1]], int(tokenizer.eos_token_id)]
        answers[-1] = (answers[-1][0], len(ids))
    return Marked(ids, tuple(answers))


def is_answer(message: Mapping[str, Any]) -> bool:
    """Whether the assistant says something."""
    return message["role"] == "assistant" and bool(message["content"].strip())


def chat_pair(
    tokenizer: Any, prompt: Messages, completion: str, length: int, name: str = "the base"
) -> tuple[list[int], list[int], bool]:
    """(tokens of the prompt, tokens of the completion with its end, whether some were cut), at most `length` in all.

    What is too long loses the beginning of the prompt first, then the end of the completion.
    """
    marked = mark_answers(tokenizer, [*prompt, {"role": "assistant", "content": completion}], last=True, name=name)
    start, end = marked.answers[-1]
    first, answer = marked.ids[:start], marked.ids[start:end]
    cut = end > length
    answer = answer[: max(1, length - 1)]
    return first[-max(1, length - len(answer)) :], answer, cut


def _start(tokenizer: Any, messages: Messages, index: int, text: str, name: str) -> int:
    """Where the answer begins in the text: behind what a chat would send to have it written."""
    question = render_messages(tokenizer, messages[:index], name, add_generation_prompt=True)
    if text.startswith(question):
        return len(question)
    raise ModelError(
        f"The chat template of {name} writes an answer in another place than it asks for one, so that it cannot be "
        "learned in it; choose the format plain."
    )


def _end(tokenizer: Any, messages: Messages, index: int, text: str, name: str) -> int:
    """Where the turn ends in the text."""
    if index == len(messages) - 1:
        return len(text)
    until = render_messages(tokenizer, messages[: index + 1], name, add_generation_prompt=False)
    if text.startswith(until):
        return len(until)
    # Some templates end the last turn in another way; the next one begins where both differ.
    return next(n for n, (a, b) in enumerate(zip(text, until, strict=False)) if a != b)


def _pieces(tokenizer: Any, text: str, edges: Sequence[int]) -> list[list[int]]:
    """Tokens of the text between the edges: of the whole text where it has tokens that begin there, else apart."""
    ids = _encoded(tokenizer, text)
    before = [_encoded(tokenizer, text[:edge]) for edge in edges[:-1]]
    if all(ids[: len(piece)] == piece for piece in before):
        return [ids[a:b] for a, b in pairwise([0, *map(len, before), len(ids)])]
    return [_encoded(tokenizer, text[a:b]) for a, b in pairwise([0, *edges])]


@clear_panics("The tokenizer")
def _encoded(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"])


def _answer_end(tokenizer: Any, ids: Sequence[int], start: int, end: int) -> int:
    """The place behind the end token of the turn from start to end; where it has none, the end of the turn."""
    eos = tokenizer.eos_token_id
    first = next((index for index in range(start, end) if ids[index] == eos), None)
    if first is None:
        first = next((index for index in reversed(range(start, end)) if _ends(tokenizer, ids[index])), end - 1)
    return first + 1


def _ends(tokenizer: Any, token: int) -> bool:
    return token == tokenizer.eos_token_id or token in tokenizer.all_special_ids
