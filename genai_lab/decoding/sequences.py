"""One completion under way: its draws, its text with held-back parts, its trace; and the stream that it feeds."""

import logging
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np

from genai_lab.decoding import Completion, Delta, FinishReason, Sampling, Token, why_empty
from genai_lab.decoding.detokenizer import Detokenizer
from genai_lab.decoding.prefill_input import PrefillInput
from genai_lab.errors import LabError, ModelError

log = logging.getLogger(__name__)
LOGITS_BUDGET = 64 * 2**20
# Seconds for which new text may wait for more, so that watchers wake less often than the model steps.
GATHER = 0.02


class TokenStream:
    """The deltas of one request's completions, from the scheduler's thread to whoever iterates.

    `lock` guards the rows, so that `cancel` ends them at once, whatever the model is computing.
    """

    def __init__(self, count: int, rendered: str) -> None:
        self.rendered = rendered
        self.lock = RLock()
        self.cancelled = False
        self._deltas: queue.SimpleQueue[Delta | LabError | None] = queue.SimpleQueue()
        self._done: dict[int, Completion] = {}
        self._open = count
        self._rows: list[DecodingSequence] = []
        self._ended = False

    def __iter__(self) -> Iterator[Delta]:
        while not self._ended:
            item = self._deltas.get()
            if isinstance(item, Delta):
                yield item
                continue
            self._ended = True
            if item is not None:
                raise item

    def cancel(self) -> None:
        with self.lock:
            self.cancelled = True
            for row in self._rows:
                row.close("cancelled")

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, known as soon as its rows wait to be read."""
        with self.lock:
            return len(self._rows[0].prompt) if self._rows else 0

    @property
    def completions(self) -> tuple[Completion, ...]:
        with self.lock:
            return tuple(self._done[index] for index in sorted(self._done))

    def logits(self, completion: int, step: int) -> Any:
        row_logits = next((row.kept_logits for row in self._rows if row.index == completion), [])
        return row_logits[step] if 0 <= step < len(row_logits) else None

    def attach(self, row: "DecodingSequence") -> None:
        self._rows.append(row)

    def put(self, delta: Delta) -> None:
        self._deltas.put(delta)

    def finish(self, completion: Completion) -> None:
        with self.lock:
            self._done[completion.index] = completion
            self._open -= 1
            if self._open == 0:
                self._deltas.put(None)

    def fail(self, problem: LabError) -> None:
        """Whoever iterates gets the problem; what was generated so far stands in `completions`."""
        with self.lock:
            self._deltas.put(problem)
            for row in self._rows:
                row.close("error")


@dataclass(eq=False)
class DecodingSequence(PrefillInput):
    """One completion. `context` are the ids that repetition filters look back on, `before` those that the text follows.

    `room` is the number of tokens that may come, `byte_of` the value of each token that stands for a single byte;
    `notes` are those of the completion.
    """

    stream: TokenStream = field(kw_only=True)
    index: int = field(kw_only=True)
    sampling: Sampling = field(kw_only=True)
    context: list[int] = field(kw_only=True)
    before: list[int] = field(kw_only=True)
    decode: Callable[[list[int]], str] = field(kw_only=True)
    ends: frozenset[int] = field(kw_only=True)
    room: int = field(kw_only=True)
    trace: int = 0
    return_logits: bool = False
    byte_of: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    submitted: float = field(default_factory=time.perf_counter)
    tokens: list[Token] = field(default_factory=list)
    finished: FinishReason | None = None
    first: float | None = None
    kept_logits: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seed = ((self.sampling.seed or 0) + self.index) % 2**31
        self._random = np.random.Generator(np.random.PCG64(self.seed))
        self._detokenizer = Detokenizer(self.decode, self.before, self.byte_of)
        self._said: list[str] = []
        self._held, self._pending, self._pending_tokens = "", "", []  # type: ignore[var-annotated]
        self._told = 0.0
        self._longest_stop = max(map(len, self.sampling.stop), default=0)
        self.stream.attach(self)

    def uniform(self) -> float:
        return float(self._random.random())

    def keep(self, logits: Any) -> None:
        if (len(self.kept_logits) + 1) * logits.numel() * 4 <= LOGITS_BUDGET:
            self.kept_logits.append(logits.float().cpu().numpy().copy())

    def push(self, token: Token) -> None:
        """Takes the next token; closes the row when it is the last one."""
        assert token.id is not None
        with self.stream.lock:
            if self.finished is not None:
                return
            if self.first is None:
                self.first = time.perf_counter() - self.submitted
            if token.id in self.ends:
                self.close("end of text")
                return
            self.tokens.append(token)
            self.context.append(token.id)
            if self._say(self._detokenizer.push(token.id), token):
                self.close("stop string")
            elif len(self.tokens) >= self.room:
                self.close("length")

    def close(self, reason: FinishReason) -> None:
        """Hands over what was held back and the finished completion."""
        with self.stream.lock:
            if self.finished is not None:
                return
            self.finished = reason
            if reason != "stop string":
                # After an error nothing is decoded again: it may be what failed.
                self._gather(self._held + (self._detokenizer.rest() if reason != "error" else ""))
            self._tell()
            text = "".join(self._said)
            empty = () if text.strip() or reason == "error" else (why_empty(reason, len(self.tokens)),)
            self.stream.finish(
                Completion(
                    index=self.index,
                    text=text,
                    tokens=tuple(self.tokens),
                    finish_reason=reason,
                    prompt_tokens=len(self.prompt),
                    seed=self.seed,
                    seconds=time.perf_counter() - self.submitted,
                    first_token_seconds=self.first,
                    notes=(*empty, *self.notes),
                )
            )

    def fail(self, problem: LabError) -> None:
        if self.finished is None:
            self.stream.fail(problem)

    def _say(self, piece: str, token: Token) -> bool:
        """Passes on the text that cannot be part of a stop string; True when one is complete."""
        self._pending_tokens.append(token)
        positions: list[int] = []
        if self.sampling.stop:
            self._held += piece
            positions = [position for stop in self.sampling.stop if (position := self._held.find(stop)) >= 0]
            ready = min(positions) if positions else len(self._held) - self._may_begin_a_stop()
            piece, self._held = self._held[:ready], self._held[ready:]
        self._gather(piece)
        if time.perf_counter() - self._told > GATHER:
            self._tell()
        return bool(positions)

    def _gather(self, text: str) -> None:
        self._said.append(text)
        self._pending += text

    def _tell(self) -> None:
        if self._pending or self._pending_tokens:
            self.stream.put(Delta(self.index, self._pending, tuple(self._pending_tokens)))
            self._pending, self._pending_tokens = "", []
        self._told = time.perf_counter()

    def _may_begin_a_stop(self) -> int:
        """Length of the longest end of the held text that a stop string begins with."""
        for size in range(min(self._longest_stop - 1, len(self._held)), 0, -1):
            end = self._held[-size:]
            if any(stop.startswith(end) for stop in self.sampling.stop):
                return size
        return 0


def as_lab_error(problem: BaseException) -> LabError:
    """What a user sees of a failure in the scheduler's thread; the log has the rest."""
    if isinstance(problem, LabError):
        return problem
    log.error("decoding failed", exc_info=problem)
    if "out of memory" in str(problem).lower() or isinstance(problem, MemoryError):
        return ModelError("The model ran out of memory; use fewer or shorter completions, or unload another model.")
    return ModelError(f"The model failed while generating ({type(problem).__name__}); the log has the details.")
