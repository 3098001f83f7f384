"""Texts of one GGUF model on their way through llama.cpp: who waits, who has a slot, how large the slots are.

All slots together hold `CELLS` tokens. Sixteen short texts have a slot each; a long text gets fewer, larger ones, for
which llama.cpp is started anew when the last text has left: its memory is one block that never changes.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from genai_lab.decoding.sequences import DecodingSequence, as_lab_error
from genai_lab.errors import ModelError
from genai_lab.models.llama_server import Shape

log = logging.getLogger(__name__)
CELLS = 8192
MOST_SLOTS, USUAL_SLOTS = 16, 4


class Completing(Protocol):
    """llama.cpp, as slots know it."""

    shape: Shape

    def complete(
        self, ids: Sequence[int], settings: dict[str, Any], take: Callable[[dict[str, Any]], bool]
    ) -> None: ...

    def close(self) -> None: ...


def shapes(context: int) -> list[Shape]:
    """From many small slots to few large ones, none larger than the context needs."""
    results = []
    slots = MOST_SLOTS
    while slots:
        results.append(Shape(slots, CELLS // slots))
        if CELLS // slots >= context:
            break
        slots //= 2
    return results


def usual_shape(context: int) -> Shape:
    """The one to begin with."""
    return next((shape for shape in shapes(context) if shape.slots <= USUAL_SLOTS), shapes(context)[-1])


def suitable_shape(sizes: Sequence[int], context: int) -> Shape:
    """The shape for waiting texts that need so many tokens each: room for the longest, slots for as many as can be."""
    fitting = [shape for shape in shapes(context) if shape.tokens >= max(sizes)] or shapes(context)[-1:]
    wanted = max(len(sizes), USUAL_SLOTS)
    return next((shape for shape in reversed(fitting) if shape.slots >= wanted), fitting[0])


class Slots:
    """`submit` from any thread. `read` takes one event into its row, `settings` are what llama.cpp is asked for it.

    `restart` closes the server and gives one of another shape; `largest` is the most texts that had a slot together.
    """

    def __init__(
        self,
        server: Completing,
        context: int,
        restart: Callable[[Shape], Completing],
        settings: Callable[[DecodingSequence], dict[str, Any]],
        read: Callable[[DecodingSequence, dict[str, Any]], None],
    ) -> None:
        self.server, self.largest = server, 0
        self._context, self._restart, self._settings, self._read = context, restart, settings, read
        self._waiting: deque[DecodingSequence] = deque()
        self._active: set[int] = set()
        self._changed = threading.Condition()
        # After a start that failed the next text tries again.
        self._stopped = False
        self._closed = False
        self._workers = ThreadPoolExecutor(MOST_SLOTS, thread_name_prefix="llama.cpp")
        self._thread = threading.Thread(target=self._run, name="llama.cpp slots", daemon=True)
        self._thread.start()

    def submit(self, rows: Iterable[DecodingSequence]) -> None:
        with self._changed:
            if self._closed:
                raise ModelError("The model has been unloaded; load it again.")
            self._waiting.extend(rows)
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def busy(self) -> bool:
        with self._changed:
            return bool(self._waiting or self._active)

    def close(self) -> None:
        """Ends every text as cancelled and frees the memory."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        """The one thread that hands out slots and changes their shape."""
        underway: list[DecodingSequence] = []
        while True:
            with self._changed:
                while not self._closed and not self._can_go_on():
                    self._changed.wait()
                if self._closed:
                    break
                underway = [row for row in underway if row.finished is None]
                row = self._next()
                if row is None:
                    continue
                shape = self._shape_for(row)
            if shape is not None and not self._reshape(shape, row):
                continue
            with self._changed:
                self._active.add(id(row))
                self.largest = max(self.largest, len(self._active))
            underway.append(row)
            self._workers.submit(self._complete, row)
        for row in (*underway, *self._waiting):
            row.close("cancelled")
        self._workers.shutdown(wait=True)
        self.server.close()

    def _can_go_on(self) -> bool:
        """Whether a waiting text can have a slot now, or all slots are empty, so that their shape can change."""
        while self._waiting and self._waiting[0].finished is not None:
            self._waiting.popleft()
        if not self._waiting or not self._active:
            return bool(self._waiting)
        return len(self._active) < self.server.shape.slots and size_of(self._waiting[0]) <= self.server.shape.tokens

    def _next(self) -> DecodingSequence | None:
        return self._waiting.popleft() if self._waiting else None

    def _shape_for(self, row: DecodingSequence) -> Shape | None:
        """Another shape where no text is under way and the present one does not suit those that wait; else None."""
        if self._active:
            return None
        first = [row, *(other for other in self._waiting if other.finished is None)][:MOST_SLOTS]
        best = suitable_shape([size_of(other) for other in first], self._context)
        present = self.server.shape
        fits = size_of(row) <= present.tokens and not self._stopped
        return best if not fits or (best.slots > present.slots and len(first) > present.slots) else None

    def _reshape(self, shape: Shape, row: DecodingSequence) -> bool:
        """False where llama.cpp could not be started again, which ends the text that wanted it."""
        self._stopped = True
        try:
            self.server = self._restart(shape)
        except Exception as problem:
            row.fail(as_lab_error(problem))
            return False
        self._stopped = False
        return True

    def _complete(self, row: DecodingSequence) -> None:
        def take(event: dict[str, Any]) -> bool:
            try:
                if row.finished is None:
                    self._read(row, event)
            except Exception as problem:
                row.fail(as_lab_error(problem))
            return row.finished is not None

        try:
            self.server.complete(row.prompt, self._settings(row), take)
            if row.finished is None:
                row.fail(ModelError("llama.cpp ended the text in the middle; try again."))
        except Exception as problem:
            row.fail(as_lab_error(problem))
        finally:
            with self._changed:
                self._active.discard(id(row))
                self._changed.notify_all()


def size_of(row: DecodingSequence) -> int:
    """Cells that the text can come to take."""
    return len(row.prompt) + row.room
