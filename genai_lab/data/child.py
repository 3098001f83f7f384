"""The process that reads a stranger's file: under a limit of memory, a batch at a time, one file after another.

It gets {"path", "name", "options"}, or {"hub"} with the place of a dataset of the Hub. It sends {"items", "end"} until
the other side says "stop" or the file ends, or {"error", "choice"}. Its end of file is its order to go.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genai_lab.child_process import receive, send
from genai_lab.data import BadRow, hub
from genai_lab.data.readers import Item, read
from genai_lab.data.sniffing import FileOptions, NeedsChoice
from genai_lab.errors import LabError

MEMORY_LIMIT = 1_500 * 2**20
ITEMS_AT_ONCE, CHARACTERS_AT_ONCE = 200, 1_000_000
BACKSTOP_SECONDS = 120.0
NO_MEMORY = (
    f"The file takes more than {MEMORY_LIMIT // 2**20:,} MB of memory to read; save it as JSON Lines or in several "
    "files, and look where it comes from."
)


def answer(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The file or dataset in batches, or why it cannot be read."""
    batch: list[Any] = []
    size = 0
    try:
        for item in items_of(request):
            batch.append(encode_item(item))
            size += (
                sum(len(cell) if isinstance(cell, str) else 16 for cell in item.values())
                if isinstance(item, dict)
                else 64
            )
            if len(batch) >= ITEMS_AT_ONCE or size > CHARACTERS_AT_ONCE:
                yield {"items": batch, "end": False}
                batch, size = [], 0
        yield {"items": batch, "end": True}
    except NeedsChoice as problem:
        yield {"error": problem.sentence, "choice": [problem.option, problem.value, problem.action], "items": batch}
    except LabError as problem:
        yield {"error": str(problem), "items": batch}
    except MemoryError:
        batch.clear()
        yield {"error": NO_MEMORY, "ended": True}


def items_of(request: dict[str, Any]) -> Iterator[Item]:
    if "hub" in request:
        return hub.rows(hub.HubDataset(**request["hub"]))
    return iter(read(Path(request["path"]), request["name"], FileOptions(**request["options"])))


def encode_item(item: Item) -> Any:
    """An item as JSON: an object for a row, a list for what is wrong with it, a text for a note."""
    if isinstance(item, dict):
        return item
    return [item.number, item.column, item.reason] if isinstance(item, BadRow) else item.text


def limit_memory() -> None:
    """Bounds what this process may take beyond what it has taken to start; where a system knows no limit, none."""
    import pyarrow as pa
    import pyarrow.parquet

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    try:
        with open("/proc/self/statm") as stream:
            used_bytes = int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes + MEMORY_LIMIT, used_bytes + MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return


def main() -> None:
    limit_memory()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    send(replies, {"ready": True})
    while (request := receive(requests)) is not None:
        if not isinstance(request, dict):
            continue
        signal.setitimer(signal.ITIMER_REAL, BACKSTOP_SECONDS)
        for reply in answer(request):
            try:
                send(replies, reply)
            except MemoryError:
                send(replies, {"error": NO_MEMORY, "ended": True})
                return
            if reply.get("ended"):
                return
            # Waits for the other side to ask for more; it may take its time.
            signal.setitimer(signal.ITIMER_REAL, 0)
            if reply.get("end") or "error" in reply:
                break
            if receive(requests) != "more":
                break
            signal.setitimer(signal.ITIMER_REAL, BACKSTOP_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
