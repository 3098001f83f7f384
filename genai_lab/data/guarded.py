"""Reads files of strangers in a process of their own, which has little memory and little time (see `child.py`)."""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

from genai_lab.child_process import ROOT, ChildFailure, ChildPool, ChildProcess, OutOfTime, ReplyTooLong, TimeLimit
from genai_lab.data import BadRow, Note
from genai_lab.data.hub import HubDataset
from genai_lab.data.readers import Item, kind_of
from genai_lab.data.sniffing import FileOptions, NeedsChoice
from genai_lab.errors import LabError

PROCESSOR_SECONDS, MOST_SECONDS, START_SECONDS = 20.0, 90.0, 60.0
MOST_PROCESSES = 3


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
    """A few processes that wait for files; safe from any thread. `environment` is added to the least they need."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._pool = ChildPool(partial(_start, environment or {}), MOST_PROCESSES)

    def read(self, request: dict[str, Any], once: bool = False) -> Iterator[Item]:
        """The items; with `once` the process ends with them. Raises LabError."""
        with self._pool.lend() as process:
            reply = _ask(process, request)
            try:
                yield from map(_item, reply.get("items", ()))
                while not ("error" in reply or reply["end"]):
                    reply = _ask(process, "more")
                    yield from map(_item, reply.get("items", ()))
            except GeneratorExit:
                if not ("error" in reply or reply["end"]):
                    process.tell("stop")
                return
            finally:
                if once:
                    process.end()
        if "error" in reply:
            raise NeedsChoice(reply["error"], *reply["choice"]) if reply.get("choice") else LabError(reply["error"])

    def warm(self) -> None:
        """Start a process, unless one waits."""
        with self._pool.lend():
            pass

    def close(self) -> None:
        self._pool.close()

    def idle_pids(self) -> list[int]:
        """The process ids of those that wait for a file."""
        return self._pool.idle_pids()


def _start(environment: Mapping[str, str]) -> ChildProcess:
    least = {
        "PYTHONPATH": str(ROOT),
        "PATH": os.environ.get("PATH", ""),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
    }
    start = TimeLimit(START_SECONDS, START_SECONDS)
    return ChildProcess(["-m", "genai_lab.data.child"], {**environment, **least}, start)


def _ask(process: ChildProcess, request: Any) -> dict[str, Any]:
    try:
        return process.ask(request, TimeLimit(PROCESSOR_SECONDS, MOST_SECONDS))
    except OutOfTime:
        raise LabError(
            f"The file took more than {PROCESSOR_SECONDS:g} s to read and was stopped; save it as JSON Lines or in "
            "smaller files."
        ) from None
    except ReplyTooLong:
        raise LabError("The rows of the file are too large to be read here.") from None
    except ChildFailure:
        raise LabError("The file broke the process that read it; look where it comes from.") from None


@cache
def pool() -> Pool:
    """The processes of this program; they end with it."""
    return Pool()


def _item(value: Any) -> Item:
    if isinstance(value, dict):
        return value
    return Note(value) if isinstance(value, str) else BadRow(*value)
