"""A stream that knows whether it is under way, so that its model is not unloaded meanwhile."""

from collections.abc import Iterator
from typing import Any

from genai_lab.decoding import Completion, Delta
from genai_lab.models.request import Stream


class WatchedStream:
    """`ended` once all `expected` completions are there, or whoever iterates has stopped."""

    def __init__(self, stream: Stream, expected: int) -> None:
        self._stream, self._expected, self._over = stream, expected, False

    def __iter__(self) -> Iterator[Delta]:
        try:
            yield from self._stream
        finally:
            self._over = True

    @property
    def ended(self) -> bool:
        return self._over or len(self._stream.completions) >= self._expected

    def cancel(self) -> None:
        self._stream.cancel()

    @property
    def completions(self) -> tuple[Completion, ...]:
        return self._stream.completions

    @property
    def rendered(self) -> str:
        return self._stream.rendered

    def logits(self, completion: int, step: int) -> Any:
        return self._stream.logits(completion, step)
