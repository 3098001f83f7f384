"""Rows of a dataset as texts: filled into templates, from conversations, or as they are."""

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from genai_lab.data import Example
from genai_lab.data.conversations import Message, read_exchanges, write_text
from genai_lab.errors import LabError
from genai_lab.prompts import Rendered, Template, bind, fill
from genai_lab.training.examples import TextExample
from genai_lab.training.objective import ReadingContext, RowsRead
from genai_lab.training.plan import TrainingPlan
from genai_lab.training.row_source import MOST_ROWS, RowSource

HELD_SHARE = 0.1


def check_columns(source: RowSource, title: str, roles: Sequence[str]) -> None:
    """Raises LabError where no column has one of the roles, or where a template does not fit the columns."""
    if roles and not any(role in source.roles for role in roles):
        raise LabError(f"{source.name} has no column for the role {roles[0]}, which {title} needs; import it with one.")
    for template in source.templates:
        bind(template, source.column_names, source.roles, ())


def check_text_column(source: RowSource) -> None:
    """Raises LabError where neither a template nor a column gives the text that is read."""
    if not source.templates and not {"input", "messages"} & set(source.roles):
        raise LabError(f"{source.name} has no column for the role input, whose text is read; import it with one.")


def answer_of(row: Example) -> str:
    """What is to be learned of a row: its first reference, or its label."""
    return row.references[0] if row.references else (row.label or "")


def input_of(row: Example) -> str:
    """What its input says, or its first column."""
    return row.input or next(iter(row.fields.values()), "")


def full_text(row: Example) -> str:
    """All text of a row: a conversation with its answer, or what its input says."""
    if row.messages:
        answer = [Message("assistant", text) for text in row.references[:1]]
        return write_text((*row.messages, *answer))
    return input_of(row)


def held_rows(source: RowSource, plan: TrainingPlan, most: int) -> int:
    """How many rows of the training split are held out where there is no split to validate on."""
    if plan.validation_split in source.splits and plan.validation_split != plan.split:
        return 0
    return max(1, min(most, round(HELD_SHARE * source.splits[plan.split])))


def split_rows(
    source: RowSource, plan: TrainingPlan, count: int, held: int, *, answered: bool
) -> tuple[list[Example], list[Example]]:
    """(training rows, validation rows); without a validation split a tenth is held out, drawn with the seed.

    With `answered` the rows held out are some that have an answer.
    """
    most, seed = min(count, MOST_ROWS), plan.training.seed
    held_out = held_rows(source, plan, held)
    if not held_out:
        return source.examples(plan.split, most, seed), source.examples(plan.validation_split, held)
    rows = source.examples(plan.split, min(source.splits[plan.split], most + held_out), seed)
    able = [index for index, row in enumerate(rows) if not answered or answer_of(row)] or list(range(len(rows)))
    validation_indices = set(random.Random(f"held {seed}").sample(able, min(held_out, len(able))))
    training = [row for index, row in enumerate(rows) if index not in validation_indices]
    return training, [rows[index] for index in sorted(validation_indices)]


class RowReader:
    """Reads rows as texts; a subclass says what a row is in a template and without one."""

    answered = True
    fills_as_chat = False

    def __init__(self, source: RowSource, context: ReadingContext) -> None:
        self.source, self.context = source, context

    def read(self, count: int, held: int) -> RowsRead:
        most = count if self.answered else MOST_ROWS
        training, validation = split_rows(self.source, self.context.plan, most, held, answered=self.answered)
        templates = len(self.source.templates)
        number = self.context.plan.training.num_train_epochs or count / max(1, len(training))
        passes = list(self.passes(training, math.ceil(number) if templates > 1 else 1))
        return RowsRead(passes, next(self.passes(validation, 1)), len(training))

    def passes(self, rows: Sequence[Example], number: int) -> Iterator[list[TextExample]]:
        """Every row once a pass, each in its own order of the templates, until it has been in all of them."""
        templates = self.source.templates
        if not templates:
            yield [text for row in rows for text in self.plain(row)]
            return
        rng = random.Random(f"templates {self.context.plan.training.seed}")
        orders = [rng.sample(range(len(templates)), len(templates)) for _ in rows]
        for turn in range(min(number, len(templates))):
            texts: dict[int, TextExample] = {}
            for index, template in enumerate(templates):
                members = [row for row, order in enumerate(orders) if order[turn] == index]
                texts |= dict(zip(members, self._fill(template, [rows[row] for row in members]), strict=True))
            yield [texts[row] for row in range(len(rows))]

    def _fill(self, template: Template, rows: Sequence[Example]) -> list[TextExample]:
        if not rows:
            return []
        binding = bind(template, self.source.column_names, self.source.roles, self.context.labels)
        chat = self.context.chat and self.fills_as_chat
        filled = fill(template, rows, chat=chat, binding=binding)
        return [self.templated(row, prompt.rendered(), chat) for row, prompt in zip(rows, filled, strict=True)]

    def plain(self, row: Example) -> list[TextExample]:
        """The texts of a row without a template."""
        raise NotImplementedError

    def templated(self, row: Example, rendered: Rendered, chat: bool) -> TextExample:
        """The text of a row that a template has been filled with."""
        raise NotImplementedError


class BlockReader(RowReader):
    """Running text."""

    answered = False

    def plain(self, row: Example) -> list[TextExample]:
        return [TextExample(full_text(row), row=row.key)]

    def templated(self, row: Example, rendered: Rendered, chat: bool) -> TextExample:
        return TextExample(f"{rendered.text} {answer_of(row)}".strip(), row=row.key)


class LabelReader(RowReader):
    """A text and its label."""

    def plain(self, row: Example) -> list[TextExample]:
        return [TextExample(input_of(row), row.label or answer_of(row), row=row.key)]

    def templated(self, row: Example, rendered: Rendered, chat: bool) -> TextExample:
        return TextExample(rendered.text, row.label or answer_of(row), row=row.key)


class CompletionReader(RowReader):
    """A prompt and its completion; without a template, conversations."""

    fills_as_chat = True

    def plain(self, row: Example) -> list[TextExample]:
        """In chat one text, in plain form one for each answer that is learned."""
        every = self.context.settings.turns == "all"
        if not row.messages or not row.references:
            return [TextExample("", row=row.key)]
        turns = (*row.messages, Message("assistant", row.references[0]))
        if self.context.chat:
            messages = tuple(turn.as_dict() for turn in turns)
            if every:
                return [TextExample("", messages=messages, full_conversation=True, row=row.key)]
            return [TextExample("", row.references[0], messages[:-1], row.key)]
        exchanges = read_exchanges(turns) if every else read_exchanges(turns)[-1:]
        space = "" if self.context.architecture == "encoder-decoder" else " "
        return [
            TextExample(write_text(exchange.prompt, cue=True), f"{space}{exchange.answer}", row=row.key)
            for exchange in exchanges
            if exchange.answer and exchange.answer.strip()
        ]

    def templated(self, row: Example, rendered: Rendered, chat: bool) -> TextExample:
        completion: Any = answer_of(row)
        if self.context.architecture == "decoder-only" and not chat and not rendered.text.endswith((" ", "\n")):
            # As a shot writes it: the completion begins with the space.
            completion = f" {completion}" if completion else ""
        return TextExample(rendered.text, completion, rendered.messages if chat else (), row.key)
