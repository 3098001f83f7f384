"""Reads files of strangers in a process of their own, which has little memory and little time (see `child.py`)."""

import contextlib
import json
import os
import selectors
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from genai_lab.data import BadRow, Note
from genai_lab.data.hub import HubDataset
from genai_lab.data.readers import Item, kind_of
from genai_lab.data.sniffing import FileOptions, NeedsChoice
from genai_lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
PROCESSOR_SECONDS, MOST_SECONDS, START_SECONDS = 20.0, 90.0, 60.0
MOST_PROCESSES = 3
LONGEST_BATCH = 400 * 2**20


def read(path: Path, name: str = "", options: FileOptions | None = None) -> Iterator[Item]:
    """As `readers.read`, in a process under limits; one that takes too much of either ends with one sentence."""
    name = name or path.name
    kind_of(name)
    request = {"path": str(path.resolve()), "name": name, "options": asdict(options or FileOptions())}
    yield from pool().read(request)


def read_hub(dataset: HubDataset) -> Iterator[Item]:
    """As `hub.rows`, in a process of its own under limits, which knows the environment: tokens, proxies, caches."""
    yield from Pool(dict(os.environ)).read({"hub": asdict(dataset)}, once=True)


def warm() -> None:
    """Starts a process in the background, so that the first file does not wait for it."""
    threading.Thread(target=pool().warm, name="file reader", daemon=True).start()


class Pool:
    """A few processes that wait for files; safe from any thread. `more` is their environment beside the least."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(environment or {})
        self._idle: list[Process] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_PROCESSES)

    def read(self, request: dict[str, Any], once: bool = False) -> Iterator[Item]:
        """The items; with `once` the process ends with them."""
        with self._places:
            process, is_reusable = self._take(), False
            try:
                reply = process.ask(request)
                while True:
                    yield from map(_item, reply.get("items", ()))
                    if "error" in reply or reply["end"]:
                        is_reusable = not reply.get("ended")
                        break
                    reply = process.ask("more")
            except GeneratorExit:
                if not reply.get("end") and "error" not in reply:
                    process.tell("stop")
                is_reusable = not reply.get("ended")
                raise
            finally:
                self._give(process) if is_reusable and not once else process.end()
        if "error" in reply:
            raise NeedsChoice(reply["error"], *reply["choice"]) if reply.get("choice") else LabError(reply["error"])

    def warm(self) -> None:
        with self._places:
            self._give(self._take())

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _take(self) -> "Process":
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.alive:
                    return process
                process.end()
        return Process(self._environment)

    def _give(self, process: "Process") -> None:
        with self._lock:
            self._idle.append(process)


class Process:
    """One reader; `ask` gives its next answer, or raises LabError and leaves it to be ended."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "genai_lab.data.child"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                **environment,
                "PYTHONPATH": str(ROOT),
                "PATH": os.environ.get("PATH", ""),
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "MALLOC_ARENA_MAX": "1",
            },
            start_new_session=True,
        )
        self._ready = selectors.DefaultSelector()
        assert self._child.stdout is not None
        self._ready.register(self._child.stdout, selectors.EVENT_READ)
        try:
            self._answer(START_SECONDS, START_SECONDS)
        except BaseException:
            self.end()
            raise

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    @property
    def pid(self) -> int:
        return self._child.pid

    def ask(self, request: Any) -> dict[str, Any]:
        self.tell(request)
        return self._answer(PROCESSOR_SECONDS, MOST_SECONDS)

    def tell(self, request: Any) -> None:
        body = json.dumps(request).encode()
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            self._child.stdin.write(struct.pack(">I", len(body)) + body)
            self._child.stdin.flush()

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        self._ready.close()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _answer(self, processor: float, most: float) -> dict[str, Any]:
        began, used = time.monotonic(), self._processor_seconds()
        (size,) = struct.unpack(">I", self._read(4, began, used, processor, most))
        if size > LONGEST_BATCH:
            raise LabError("The rows of the file are too large to be read here.")
        return dict(json.loads(self._read(size, began, used, processor, most)))

    def _read(self, size: int, began: float, used: float, processor: float, most: float) -> bytes:
        assert self._child.stdout is not None
        pieces, missing = [], size
        while missing:
            if not self._ready.select(0.25):
                if self._processor_seconds() - used > processor or time.monotonic() - began > most:
                    raise LabError(
                        f"The file took more than {processor:g} s to read and was stopped; save it as JSON Lines or "
                        "in smaller files."
                    )
                continue
            piece = os.read(self._child.stdout.fileno(), min(missing, 2**20))
            if not piece:
                raise LabError("The file broke the process that read it; look where it comes from.")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _processor_seconds(self) -> float:
        try:
            times = psutil.Process(self._child.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


@cache
def pool() -> Pool:
    """The processes of this program; they end with it."""
    return Pool()


def _item(value: Any) -> Item:
    if isinstance(value, dict):
        return value
    return Note(value) if isinstance(value, str) else BadRow(*value)
