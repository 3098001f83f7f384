"""The files of a job's folder: what the worker is told, what it reports, how it ended."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOCK, WORKER, EXIT, REPORT, LOG, ORDER = "lock", "worker.json", "exit.json", "report.jsonl", "log.txt", "job.json"
RESOURCES = "resources.json"  # what the workers of a home can occupy, beside the folders of its jobs
BLOCK = 4_000_000
# Exit codes of a worker that has ended by itself.
FAILED, NO_MEMORY, DISK_FULL = 1, 3, 4


def read(path: Path) -> dict[str, Any] | None:
    """A JSON file; None where it is missing or torn."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def lines(path: Path, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """The next whole lines of a report from a byte offset, each with the offset after it; a torn line is empty."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(offset)
        block = stream.read(BLOCK)
        while b"\n" not in block and (more := stream.read(BLOCK)):
            block += more
    end = block.rfind(b"\n") + 1
    for line in block[:end].splitlines(keepends=True):
        offset += len(line)
        try:
            content = json.loads(line)
        except ValueError:
            content = None
        yield (content if isinstance(content, dict) else {}), offset


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
