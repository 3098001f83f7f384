"""One thread a model that takes every request's rows through the same steps."""

import itertools
import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from genai_lab.decoding.batch import Batch, attach_traced_step
from genai_lab.decoding.packed_weights import weight_count
from genai_lab.decoding.prefill import Network
from genai_lab.decoding.sampling import next_tokens
from genai_lab.decoding.sequences import DecodingSequence, as_lab_error
from genai_lab.decoding.traced_step import LARGEST, can_be_traced
from genai_lab.errors import ModelError
from genai_lab.models.checks import size_text

log = logging.getLogger(__name__)
MOST_ROWS = 64
# When a module gets its traced step: after so many seconds without a request, or in the midst of texts after so many
# steps, which is about what it takes to make (150 steps' gain at 3.7M parameters, 240 at 135M).
IDLE, UNTRACED_STEPS = 1.0, 256
# Longer readings are taken in parts, so that the rows under way take a step in between.
READ_AT_ONCE = 4096
SMALL = 30_000_000
# Bytes of keys and values up to which rows of any lengths share a batch. Beyond that, a row joins only where neither it
# nor the batch is more than twice as long as the other: each row of a batch takes as many columns as the longest.
SHARED = 128 * 2**20
# Allocations below this are not held against what is free.
UNNOTICED = 32 * 2**20


class Scheduler:
    """`submit` from any thread; rows join between two steps and leave when they are finished.

    `token_text` gives the text of one id; a module of at most `traced` parameters gets a traced step, which no first
    token waits for: it is made once the thread was idle for a moment or has taken many steps. `largest` is the greatest
    number of rows that took a step together.
    """

    def __init__(
        self, module: Any, token_text: Callable[[int], str], most_rows: int = MOST_ROWS, traced: int = LARGEST
    ) -> None:
        self.network = Network(module)
        self._most_traced = traced
        self._untraced = can_be_traced(module, traced)
        self._small = weight_count(module) < SMALL
        self.largest = self.steps = 0
        self._text, self._most = token_text, most_rows
        self._waiting: list[list[DecodingSequence]] = []
        self._tasks: list[Callable[[], None]] = []
        self._batches: dict[Any, Batch] = {}
        self._wake = threading.Condition()
        self._closed = False
        self._starts = itertools.count()
        self._thread = threading.Thread(target=self._run, name="decoding", daemon=True)
        self._thread.start()

    def submit(self, rows: list[DecodingSequence]) -> None:
        """Rows of one call are read together, so that what they share is computed once."""
        with self._wake:
            self._refuse_when_closed()
            self._waiting.append(rows)
            self._wake.notify()

    def call(self, task: Callable[[], None]) -> None:
        """Runs `task` in the thread, between two steps; it must answer for its own errors."""
        with self._wake:
            self._refuse_when_closed()
            self._tasks.append(task)
            self._wake.notify()

    def prepare(self) -> None:
        """Makes the traced step at once, so that what follows can be timed; returns when it is there."""
        done = threading.Event()

        def trace() -> None:
            if self._untraced:
                self._trace()
            done.set()

        self.call(trace)
        while self._thread.is_alive() and not done.wait(0.1):
            continue

    def yield_to_batch(self) -> None:
        """One step of the batches, from within a task that takes long."""
        with self._wake:
            groups = self._admitted()
        self._round(groups)

    @property
    def traces(self) -> bool:
        """Whether the module has a traced step or is still to get one."""
        return self._untraced or self.network.quick is not None

    @property
    def busy(self) -> bool:
        with self._wake:
            return bool(self._waiting or self._tasks or any(batch.rows for batch in self._batches.values()))

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(timeout=5)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ModelError("The model has been unloaded; load it again.")

    def _run(self) -> None:
        torch.set_num_threads(self._threads())
        with torch.inference_mode():
            while True:
                with self._wake:
                    while not (self._closed or self._waiting or self._tasks or self._batches):
                        due = self._untraced and self.steps > 0
                        if not self._wake.wait(IDLE if due else None):
                            break
                    if self._closed:
                        break
                    tasks, self._tasks = self._tasks, []
                    groups = self._admitted()
                if self._untraced and self.steps and not (groups or tasks or self._batches):
                    self._trace()
                # Rows first: what a long task finds in a batch goes on while it breathes.
                self._round(groups)
                for task in tasks:
                    task()
        waiting = itertools.chain.from_iterable(self._waiting)
        for row in itertools.chain(waiting, *(batch.rows for batch in self._batches.values())):
            row.close("cancelled")

    def _round(self, groups: list[list[DecodingSequence]]) -> None:
        """Takes the groups in, then one step of every batch."""
        for rows in groups:
            self._guarded(rows, partial(self._join, rows))
        for key, batch in list(self._batches.items()):
            self._guarded(list(batch.rows), partial(self._step, batch), batch)
            if not batch.rows:
                self._batches.pop(key, None)

    def _trace(self) -> None:
        """Makes the traced step, which replaces the module's own from the next step on."""
        self._untraced = False
        try:
            with torch.inference_mode(False):
                attach_traced_step(self.network, self._most_traced)
        except Exception:
            # The model may have been unloaded meanwhile; without a graph it decodes as the module does.
            self.network.quick = None
            log.info("no traced step is made", exc_info=True)

    def _threads(self) -> int:
        """Of this thread's own: a small model's steps are over before a second core could help."""
        return 1 if self._small else max(1, os.cpu_count() or 1)

    def _admitted(self) -> list[list[DecodingSequence]]:
        """Waiting rows that fit into the batch and, in tokens to read, into one round."""
        room = self._most - sum(len(batch.rows) for batch in self._batches.values())
        tokens, admitted = READ_AT_ONCE, []
        while self._waiting and room > 0 and tokens > 0:
            rows, count = self._waiting[0], 0
            while count < min(len(rows), room) and tokens > 0:
                # Further completions of a prompt cost nothing to read, whether of one request or of several in a row.
                known = rows[count].index > 0 or (count > 0 and rows[count].prompt == rows[count - 1].prompt)
                tokens -= 0 if known else max(1, len(rows[count].prompt) - rows[count].shared)
                count += 1
            admitted.append(rows[:count])
            room -= count
            if count == len(rows):
                self._waiting.pop(0)
            else:
                self._waiting[0] = rows[count:]
        return admitted

    def _guarded(self, rows: list[DecodingSequence], work: Callable[[], None], batch: Batch | None = None) -> None:
        """A failure ends the rows that it met, and nothing else."""
        try:
            work()
        except BaseException as problem:
            # A panic of a library in Rust is no Exception, and without its thread a model answers no one.
            error = as_lab_error(problem)
            for row in rows:
                row.fail(error)
            if batch is not None:
                batch.keep([])
            for other in self._batches.values():
                other.keep([index for index, row in enumerate(other.rows) if row.finished is None])

    def _join(self, rows: list[DecodingSequence]) -> None:
        rows = [row for row in rows if row.finished is None]
        for (key, _), part in self._split(rows).items():
            self._guarded(part, partial(self._refuse_beyond_memory, part))
            part = [row for row in part if row.finished is None]
            if not part:
                continue
            batch = self._batches.setdefault(key, Batch(self.network))
            first = len(batch.rows)
            self._advance(batch, part, batch.join(part), first)
            self._let_go(batch)

    def _split(self, rows: list[DecodingSequence]) -> dict[tuple[Any, Any], list[DecodingSequence]]:
        """Rows that are read together, by (batch, soft prompt): where the model needs a common start, it is a batch.

        Behind a soft prompt decoders begin with equally many ids, because its columns must stand next to theirs.
        """
        parts: dict[tuple[Any, Any], list[DecodingSequence]] = {}
        start = next(self._starts)
        sizes = {key: (len(batch.rows), batch.width) for key, batch in self._batches.items()}
        for row in sorted(rows, key=_length) if self.network.joins else rows:
            soft = (row.soft, len(row.decoder_prefix)) if row.soft is not None else None
            if not self.network.joins:
                parts.setdefault(((start, soft, *row.prompt, -1, *row.decoder_prefix), soft), []).append(row)
                continue
            key = next((key for key, size in sizes.items() if self._suits(row, *size)), (start, len(sizes)))
            count, width = sizes.get(key, (0, 0))
            sizes[key] = count + 1, max(width, _length(row))
            parts.setdefault((key, soft), []).append(row)
        return parts

    def _suits(self, row: DecodingSequence, rows: int, width: int) -> bool:
        """Whether the row may join a batch of `rows` rows that take `width` columns each."""
        length = _length(row)
        longest = max(length, width)
        return (rows + 1) * longest * self.network.token_bytes <= SHARED or longest <= 2 * min(length, width)

    def _refuse_beyond_memory(self, rows: list[DecodingSequence]) -> None:
        longest = max(map(_length, rows))
        needed = len(rows) * longest * self.network.token_bytes
        if needed > UNNOTICED and needed > (free := self.network.free_bytes()):
            raise ModelError(
                f"The model would need {size_text(needed)} of memory to read a text of {longest:,} tokens"
                f"{f' and {len(rows) - 1} others' if len(rows) > 1 else ''}, and {size_text(free)} are free; shorten "
                "the text, send fewer at once, or unload another model."
            )

    def _end_longest_beyond_memory(self, batch: Batch) -> None:
        """Before a step that cannot get its memory, the row that has most tokens ends with what it has."""
        needed = batch.growth()
        if needed > UNNOTICED and needed > (free := self.network.free_bytes()):
            longest = max(batch.rows, key=lambda row: _length(row) + len(row.tokens))
            longest.fail(
                ModelError(
                    f"Memory ran short after {len(longest.tokens):,} tokens: the next ones would need "
                    f"{size_text(needed)} of memory, and {size_text(free)} are free; ask for fewer tokens, send fewer "
                    "texts at once, or unload another model."
                )
            )

    def _step(self, batch: Batch) -> None:
        self._let_go(batch)
        if batch.rows:
            self._end_longest_beyond_memory(batch)
            self._let_go(batch)
        if not batch.rows:
            return
        if self._untraced and self.steps >= UNTRACED_STEPS:
            self._trace()
        self.steps += 1
        self.largest = max(self.largest, len(batch.rows))
        self._advance(batch, batch.rows, batch.step(), 0)
        self._let_go(batch)

    def _let_go(self, batch: Batch) -> None:
        staying = [i for i, row in enumerate(batch.rows) if row.finished is None]
        if len(staying) < len(batch.rows):
            batch.keep(staying)

    def _advance(self, batch: Batch, rows: list[DecodingSequence], logits: torch.Tensor, first: int) -> None:
        """Draws the next token of each of `rows`, which stand in the batch from place `first` on."""
        logits = logits.float()
        for index, row in enumerate(rows):
            if row.return_logits:
                row.keep(logits[index])
        for index, (row, token) in enumerate(zip(rows, next_tokens(rows, logits, self._text), strict=True)):
            batch.next_ids[first + index] = token.id or 0
            row.push(token)


def _length(row: DecodingSequence) -> int:
    """Columns that the row takes when it has been read."""
    return len(row.prompt) + len(row.decoder_prefix) + (row.soft.size if row.soft is not None else 0)
