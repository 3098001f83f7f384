"""Talks to the processes that fill templates, the lab's own and models': keeps them warm, ends slow ones."""

import json
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from genai_lab.errors import TemplateError

CHILD = Path(__file__).with_name("child.py")
# Reading the slots and filling come one after the other; together they end within 2 s.
SLOTS_SECONDS, FILL_SECONDS = 0.5, 1.4
START_SECONDS = 20.0
# A process that got little of the processor on a busy machine has not had its time; it may wait this long in all.
PATIENCE_SECONDS, HAD_ITS_TIME = 10.0, 0.5
MOST_PROCESSES = 4
LONGEST_ANSWER = 400 * 2**20


class Ended(TemplateError):
    """A template was stopped together with its process; `words` say why, as in "took longer than 1 s"."""

    def __init__(self, message: str) -> None:
        super().__init__(f"The template {message}; simplify it.")
        self.message = message


class Sandbox:
    """A few processes that wait for templates. `ask` is safe from any thread."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_PROCESSES)

    def ask(self, request: dict[str, Any], seconds: float = FILL_SECONDS) -> dict[str, Any]:
        """The answer to one request; raises TemplateError where the process was ended or ended itself."""
        with self._places:
            process = self._take()
            try:
                reply = process.ask(request, seconds)
            except BaseException:
                process.end()
                raise
            if reply.get("ended"):
                process.end()
            else:
                with self._lock:
                    self._idle.append(process)
            return reply

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _take(self) -> "_Process":
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.alive:
                    return process
                process.end()
        return _Process()


class _Process:
    def __init__(self) -> None:
        # Isolated from the environment and from the user's own modules; its end of file is its order to go.
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
        self._used = 0.0
        self._ready = selectors.DefaultSelector()
        assert self._child.stdout is not None
        self._ready.register(self._child.stdout, selectors.EVENT_READ)
        try:
            self._receive(START_SECONDS)
        except BaseException:
            self.end()
            raise

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        body = json.dumps(request).encode()
        self._used = self._processor_seconds()
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(struct.pack(">I", len(body)) + body)
            self._child.stdin.flush()
        except OSError:
            raise TemplateError("The process that fills templates is gone; try again.") from None
        return self._receive(seconds)

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        self._ready.close()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def _had_its_time(self, seconds: float) -> bool:
        return self._processor_seconds() - self._used >= HAD_ITS_TIME * seconds

    def _processor_seconds(self) -> float:
        try:
            times = psutil.Process(self._child.pid).cpu_times()
        except psutil.Error:
            return float("inf")
        return times.user + times.system

    def _receive(self, seconds: float) -> dict[str, Any]:
        began = time.monotonic()
        (size,) = struct.unpack(">I", self._read(4, began, seconds))
        if size > LONGEST_ANSWER:
            raise Ended("writes too much")
        return dict(json.loads(self._read(size, began, seconds)))

    def _read(self, size: int, began: float, seconds: float) -> bytes:
        assert self._child.stdout is not None
        pieces, remaining, until = [], size, began + seconds
        while remaining:
            if not self._ready.select(max(0.0, until - time.monotonic())):
                if self._had_its_time(seconds) or time.monotonic() - began > max(seconds, PATIENCE_SECONDS):
                    raise Ended(f"took longer than {seconds:g} s and was stopped")
                until = time.monotonic() + 0.05
                continue
            piece = os.read(self._child.stdout.fileno(), min(remaining, 2**20))
            if not piece:
                raise Ended("broke the process that filled it")
            pieces.append(piece)
            remaining -= len(piece)
        return b"".join(pieces)


@cache
def sandbox() -> Sandbox:
    """The processes of this program; they end with it."""
    return Sandbox()
