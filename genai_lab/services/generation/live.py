"""Runs in progress: watched, stopped, recorded as they end."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Delta, Sampling
from genai_lab.errors import LabError
from genai_lab.models import Card, Stream
from genai_lab.services import packing
from genai_lab.services.generation.records import Stats, rate_of, stats_from
from storage import runs as queries
from storage.tables import Generation

log = logging.getLogger(__name__)


class Live:
    """A run under way. Iterate for deltas; the record is saved when iteration ends, in whichever way it ends."""

    def __init__(
        self, lab: LabContext, run_id: int, card: Card, sampling: Sampling, stream: Stream, began: float
    ) -> None:
        self.run_id, self.card, self.sampling = run_id, card, sampling
        self._lab, self._stream = lab, stream
        self._began = began
        self._first: float | None = None
        self._tokens = 0
        self._saved = False
        self.status = "running"

    @property
    def seed(self) -> int:
        return self.sampling.seed or 0

    @property
    def rendered(self) -> str:
        return self._stream.rendered

    @property
    def completions(self) -> tuple[Completion, ...]:
        return self._stream.completions

    def __iter__(self) -> Iterator[Delta]:
        error: str | None = None
        try:
            for delta in self._stream:
                if self._first is None and (delta.tokens or delta.text):
                    self._first = time.perf_counter() - self._began
                self._tokens += len(delta.tokens)
                yield delta
        except (GeneratorExit, KeyboardInterrupt):
            self._stream.cancel()
            raise
        except LabError as problem:
            error = str(problem)
            raise
        except Exception as problem:
            log.exception("run %s", self.run_id)
            error = f"The model failed in a way that was not foreseen ({_first_words(problem)}); what came is kept."
            raise LabError(error) from problem
        finally:
            self._save(error)

    def cancel(self) -> None:
        self._stream.cancel()

    def wait(self) -> tuple[Completion, ...]:
        """Runs to the end without watching; raises what the stream raises."""
        for _ in self:
            continue
        return self.completions

    @property
    def stats(self) -> Stats:
        """Figures so far; once it has ended, those that the record gives too."""
        completions = self.completions
        if self._saved and completions:
            return stats_from(completions, self.card.context)
        seconds = time.perf_counter() - self._began
        prompt = max((c.prompt_tokens for c in completions), default=0) or getattr(self._stream, "prompt_tokens", 0)
        rate = rate_of(self._tokens, seconds, self._first)
        return Stats(self._first, rate, prompt, self._tokens, self.card.context, seconds)

    def _save(self, error: str | None) -> None:
        """Keeps the run as it ended; where a part of it cannot be kept, the run has failed and its text is kept."""
        if self._saved:
            return
        self._saved = True
        active_generations(self._lab).pop(self.run_id, None)
        completions: tuple[Completion, ...] = ()
        try:
            completions = _settled(self._stream)
            cancelled = any(c.finish_reason == "cancelled" for c in completions)
            self.status = "failed" if error else "cancelled" if cancelled else "finished"
            self._record([packing.row_of(c, self.rendered) for c in completions], error)
        except Exception as problem:
            log.exception("run %s cannot be kept whole", self.run_id)
            self.status = "failed"
            error = error or f"The run could not be saved whole ({_first_words(problem)}); its text is kept."
            self._record([packing.plain_row(c, self._rendered_or("")) for c in completions], error)
            raise LabError(error) from problem

    def _record(self, rows: Sequence[Generation], error: str | None) -> None:
        seconds = time.perf_counter() - self._began
        with self._lab.database.session() as session:
            queries.finish_run(session, self.run_id, rows, status=self.status, error=error, seconds=seconds)

    def _rendered_or(self, otherwise: str) -> str:
        try:
            return self.rendered
        except Exception:
            return otherwise


class ActiveGenerations(dict[int, Live]):
    """The generations of a lab that have not ended, by the id of their run."""


def active_generations(lab: LabContext) -> ActiveGenerations:
    return lab.service(ActiveGenerations, ActiveGenerations)


def cancel(lab: LabContext, run_id: int | None) -> bool:
    """Stops the run if it is under way; whoever watches it gets its end within 0.3 s."""
    live = active_generations(lab).get(run_id) if run_id is not None else None
    if live is not None:
        live.cancel()
    return live is not None


def merge_streams(lives: Sequence[Live]) -> Iterator[tuple[int, Delta | LabError | None]]:
    """Watches several runs at once: (place, delta) as they come, (place, None) or (place, error) at each one's end."""
    arrived: SimpleQueue[tuple[int, Delta | LabError | None]] = SimpleQueue()

    def watch(index: int, live: Live) -> None:
        try:
            for delta in live:
                arrived.put((index, delta))
            arrived.put((index, None))
        except LabError as problem:
            arrived.put((index, problem))
        except Exception as problem:
            log.exception("watching a stream")
            arrived.put((index, LabError(f"The model failed ({_first_words(problem)}); try again.")))

    for index, live in enumerate(lives):
        threading.Thread(target=watch, args=(index, live), daemon=True).start()
    remaining = len(lives)
    try:
        while remaining:
            index, item = arrived.get()
            remaining -= not isinstance(item, Delta)
            yield index, item
    finally:
        if remaining:
            for live in lives:
                live.cancel()


def _first_words(problem: Exception) -> str:
    lines = str(getattr(problem, "orig", None) or problem).splitlines()
    return f"{type(problem).__name__}: {lines[0][:200]}" if lines else type(problem).__name__


def _settled(stream: Stream, patience: float = 1.0) -> tuple[Completion, ...]:
    """The completions after a cancel, which takes a moment to reach the batch."""
    until = time.perf_counter() + patience
    while not stream.completions and time.perf_counter() < until:
        time.sleep(0.01)
    return stream.completions
