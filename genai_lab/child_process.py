"""Child processes that do untrusted work: one request at a time, ended when it takes too long, replaced after that.

Requests and replies are JSON, each after its length as four bytes, most significant first. A child says
{"ready": true} once it has limited its own memory, and marks its last reply by "ended". End of file on its input is
its order to go.
"""

import contextlib
import json
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
LONGEST_REPLY = 400 * 2**20
POLL_SECONDS = 0.05


class ChildFailure(Exception):
    """The child gave no reply that can be used; it has to be ended."""


class OutOfTime(ChildFailure):
    """The reply took longer than the request's limit."""


class ReplyTooLong(ChildFailure):
    """The reply is longer than `LONGEST_REPLY` bytes."""


class ChildLost(ChildFailure):
    """The child ended before its reply did."""


@dataclass(frozen=True)
class TimeLimit:
    """A request may take `processor` seconds of processor time and `wall` seconds, and in any case `least` seconds."""

    processor: float
    wall: float
    least: float = 0.0

    def is_over(self, elapsed: float, processor: float) -> bool:
        return elapsed >= self.least and (processor >= self.processor or elapsed >= self.wall)


class ChildProcess:
    """A started child; `arguments` follow the interpreter. Raises ChildFailure where it does not start in time."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], start: TimeLimit) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._readable = selectors.DefaultSelector()
        self._readable.register(self._replies, selectors.EVENT_READ)
        try:
            self._reply(start)
        except BaseException:
            self.end()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: Any, limit: TimeLimit) -> dict[str, Any]:
        """The reply to a request; the child is ended after its last one. Raises ChildFailure."""
        self.tell(request)
        reply = self._reply(limit)
        if reply.get("ended"):
            self.end()
        return reply

    def tell(self, request: Any) -> None:
        """Send what needs no reply; a child that is gone is noticed by the next `ask`."""
        with contextlib.suppress(OSError):
            send(self._requests, request)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._readable.close()
        for pipe in (self._requests, self._replies):
            with contextlib.suppress(OSError):
                pipe.close()

    def _reply(self, limit: TimeLimit) -> dict[str, Any]:
        clock = _Clock(self.pid, limit)
        (size,) = struct.unpack(">I", self._read(4, clock))
        if size > LONGEST_REPLY:
            raise ReplyTooLong
        return dict(json.loads(self._read(size, clock)))

    def _read(self, size: int, clock: "_Clock") -> bytes:
        pieces, missing = [], size
        while missing:
            if not self._readable.select(clock.pause()):
                if clock.is_over():
                    raise OutOfTime
                continue
            piece = os.read(self._replies.fileno(), min(missing, 2**20))
            if not piece:
                raise ChildLost
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)


class ChildPool:
    """At most `size` children made by `start`; free ones wait for the next request. Safe from any thread."""

    def __init__(self, start: Callable[[], ChildProcess], size: int) -> None:
        self._start = start
        self._idle: list[ChildProcess] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(size)

    @contextlib.contextmanager
    def lend(self) -> Iterator[ChildProcess]:
        """A child for the length of a `with` block; it is ended by an exception, and else kept if it is alive."""
        with self._places:
            child = self._take()
            try:
                yield child
            except BaseException:
                child.end()
                raise
            if child.alive:
                with self._lock:
                    self._idle.append(child)

    def close(self) -> None:
        """End the children that are free."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def idle_pids(self) -> list[int]:
        """The process ids of the children that are free."""
        with self._lock:
            return [child.pid for child in self._idle]

    def _take(self) -> ChildProcess:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    return child
                child.end()
        return self._start()


class _Clock:
    """What a request has taken of its limit since this was made, in seconds."""

    def __init__(self, pid: int, limit: TimeLimit) -> None:
        self._pid, self._limit = pid, limit
        self._began, self._used = time.monotonic(), _processor_seconds(pid)

    def pause(self) -> float:
        """How long to wait for output before the limit is looked at."""
        return max(POLL_SECONDS, self._began + self._limit.least - time.monotonic())

    def is_over(self) -> bool:
        return self._limit.is_over(time.monotonic() - self._began, _processor_seconds(self._pid) - self._used)


def _processor_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def receive(stream: IO[bytes]) -> Any:
    """The next message; None at the end of the file."""
    head = stream.read(4)
    return json.loads(stream.read(struct.unpack(">I", head)[0])) if len(head) == 4 else None


def send(stream: IO[bytes], message: Any) -> None:
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()
