"""Logits that stay in memory for a while, so that the microscope need not compute them again."""

from collections import OrderedDict
from threading import Lock
from typing import Any

from genai_lab.context import LabContext
from genai_lab.models import Stream

KEPT_RUNS = 32


class LogitsCache:
    """Streams whose logits are still in memory, by run; the oldest leaves when there are more than `most`."""

    def __init__(self, most: int = KEPT_RUNS) -> None:
        self._most, self._lock = most, Lock()
        self._streams: OrderedDict[int, Stream] = OrderedDict()
        self._single: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def put(self, run_id: int, stream: Stream) -> None:
        with self._lock:
            self._streams[run_id] = stream
            while len(self._streams) > self._most:
                self._streams.popitem(last=False)

    def find(self, run_id: int, completion: int, step: int) -> Any:
        with self._lock:
            stream = self._streams.get(run_id)
        return None if stream is None else stream.logits(completion, step)

    def remember(self, key: tuple[Any, ...], logits: Any) -> Any:
        with self._lock:
            self._single[key] = logits
            while len(self._single) > self._most:
                self._single.popitem(last=False)
        return logits

    def recall(self, key: tuple[Any, ...]) -> Any:
        with self._lock:
            return self._single.get(key)


def kept_logits(lab: LabContext) -> LogitsCache:
    """The lab's logits in memory."""
    return lab.service(LogitsCache, LogitsCache)
