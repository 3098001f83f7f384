"""From a resolved plan to what the loop reads: rows read and encoded."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError, ModelError
from genai_lab.services.training.resolution import ResolvedPlan
from genai_lab.training.objective import EncodingContext, Objective
from genai_lab.training.row_source import MOST_ROWS, RowSource

SEARCHED, NAMED = 1_000, 5  # rows that are searched for those left out, and how many of these are named


@dataclass(frozen=True)
class Prepared:
    """Examples of each dataset and for validation; `left_out` rows had nothing to learn, `cut` ones were too long.

    `left_rows` are the numbers of the first rows that were left out, counted from 1 as the Datasets page does.

    Of each dataset, `passes` are the numbers of its examples that are one pass over its rows each (see
    `batches.sample_order`), and `rows_per_source` the rows for training, by which datasets are mixed.
    """

    train: tuple[tuple[Any, ...], ...]
    validation: tuple[Any, ...]
    rows: int
    left_out: int
    cut: int
    steps: int
    passes: tuple[tuple[int, ...], ...]
    rows_per_source: tuple[int, ...]
    left_rows: tuple[int, ...] = ()


def encoding_context(resolved: ResolvedPlan, tokenizer: Any) -> EncodingContext:
    return EncodingContext(
        tokenizer, resolved.architecture, resolved.plan.training, resolved.reading.settings, resolved.labels
    )


def prepare(resolved: ResolvedPlan, tokenizer: Any) -> Prepared:
    """Reads and encodes; raises LabError where nothing can be learned."""
    plan, objective, context = resolved.plan, resolved.objective, encoding_context(resolved, tokenizer)
    training, reading = plan.training, resolved.reading
    rows_needed = MOST_ROWS if training.num_train_epochs else training.max_steps * training.rows_per_step
    validation_rows = max(1, training.validation_rows // len(plan.data))
    train: list[tuple[Any, ...]] = []
    validation, passes, rows, left_out = [], [], 0, 0
    left_rows: list[int] = []
    for source in resolved.sources:
        read = objective.read(source, reading, rows_needed, validation_rows)
        encoded = [_encode(objective, texts, context, source) for texts in read.passes]
        validation += _encode(objective, read.validation, context, source)[:validation_rows]
        examples = tuple(example for part in encoded for example in part)
        count = sum(map(len, read.passes))
        if not examples:
            raise LabError(_nothing_to_learn(resolved, source, count))
        if not objective.reads_blocks and count > len(examples):
            left_out += count - len(examples)
            left_rows += [text.row + 1 for text in read.passes[0][:SEARCHED] if not objective.encode([text], context)][
                :NAMED
            ]
        rows += read.rows
        train.append(examples)
        passes.append(tuple(len(part) for part in encoded if part))
    if not validation:
        raise LabError("No validation row has anything to learn; raise the length or choose another validation split.")
    cut = sum(example.cut for examples in train for example in examples)
    if cut == sum(map(len, train)) and not objective.reads_blocks:
        raise LabError(_all_cut(resolved, [example for examples in train for example in examples]))
    return Prepared(
        tuple(train),
        tuple(validation),
        rows,
        left_out,
        cut,
        _steps(resolved, passes),
        tuple(passes),
        tuple(source.splits[plan.split] for source in resolved.sources),
        tuple(left_rows),
    )


def _encode(objective: Objective, texts: Sequence[Any], context: EncodingContext, source: RowSource) -> list[Any]:
    """The examples of the texts; raises LabError that names the row where one cannot be encoded."""
    row = 0

    def tracked() -> Iterator[Any]:
        nonlocal row
        for text in texts:
            row = text.row + 1
            yield text

    try:
        return objective.encode(tracked(), context)
    except ModelError as problem:
        raise LabError(f"Row {row:,} of {source.name}: {problem}") from None


def _steps(resolved: ResolvedPlan, passes: Sequence[Sequence[int]]) -> int:
    training = resolved.plan.training
    if not training.num_train_epochs:
        return training.max_steps
    once = sum(sum(part) / len(part) for part in passes)
    return max(1, math.ceil(training.num_train_epochs * once / training.rows_per_step))


def _nothing_to_learn(resolved: ResolvedPlan, source: RowSource, rows: int) -> str:
    length = resolved.plan.training.max_length
    if resolved.objective.reads_blocks:
        return f"{source.name} has less text than one block of {length} tokens; lower the length."
    if "messages" in source.roles and not source.templates:
        advice = "look whether each conversation asks something first and the assistant answers with a text"
    else:
        advice = "look whether the references are empty"
    return (
        f"None of the {rows:,} rows of {source.name} has anything to learn within {length:,} tokens; raise the length, "
        f"or {advice}."
    )


def _all_cut(resolved: ResolvedPlan, examples: Sequence[Any]) -> str:
    """Which of the two lengths is too low; only an encoder-decoder has one for completions."""
    training, seq2seq = resolved.plan.training, resolved.architecture == "encoder-decoder"
    lengths = [resolved.objective.lengths(example, resolved.architecture) for example in examples]
    long_prompts = not seq2seq or all(length >= training.max_length for length, _ in lengths)
    long_targets = seq2seq and all(target >= training.max_target_length for _, target in lengths)
    rows, target_limit = (
        f"All rows are longer than {training.max_length:,} tokens",
        f"than {training.max_target_length:,}",
    )
    so = "so that each would be cut; raise the"
    if long_prompts and not long_targets:
        return f"{rows}, {so} length."
    if long_targets and not long_prompts:
        return f"All completions are longer {target_limit} tokens, {so} target length."
    return f"{rows}, or their completions {target_limit}, {so} length and the target length."
