"""A job's worker process as the operating system knows it: started, found again, ended with all its children.

The lock of a job folder is taken before its worker is started and handed on to it, so that it is held without a gap
until the worker ends. A job never has two workers, and whoever can take the lock knows that there is none, whichever
process started the last one and however that process ended.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from genai_lab.files import write_json

LOCK, WORKER, EXIT, REPORT, LOG, ORDER = "lock", "worker.json", "exit.json", "report.jsonl", "log.txt", "job.json"
COMMAND = (sys.executable, "-m", "genai_lab.worker")
ROOT = Path(__file__).resolve().parents[3]
BLOCK = 4_000_000
FAILED, NO_MEMORY, DISK_FULL = 1, 3, 4


def start(
    folder: Path, order: dict[str, Any], environment: dict[str, str]
) -> "tuple[subprocess.Popen[bytes], dict[str, Any]] | None":
    """Starts the worker in a process group of its own, which outlives this process; None where one lives already.

    Gives the process and what names it: pid, start time and attempt.
    """
    lock = try_lock(folder)
    if lock is None:
        return None
    with lock, (folder / LOG).open("ab") as log:
        (folder / EXIT).unlink(missing_ok=True)
        write_json(folder / ORDER, order)
        worker = subprocess.Popen(
            [*COMMAND, str(folder), str(lock.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],
            env={**os.environ, **environment},
        )
        known = name_of(worker.pid, order["attempt"])
        write_json(folder / WORKER, known)
    return worker, known


def name_of(pid: int, attempt: int) -> dict[str, Any]:
    return {"pid": pid, "started": process_started(pid), "attempt": attempt}


def alive(folder: Path) -> bool:
    """Whether a worker lives. A child of a dead one may still hold the lock that it has inherited."""
    lock = try_lock(folder)
    if lock is not None:
        lock.close()
        return False
    known, order = read(folder / WORKER), read(folder / ORDER)
    if known is None or order is None or known["attempt"] != order["attempt"]:
        return True
    return process_started(known["pid"]) == known["started"]


def try_lock(folder: Path) -> IO[str] | None:
    """The open lock, released when it is closed or its process ends; None where somebody holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = (folder / LOCK).open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream


def end(folder: Path, force: bool) -> None:
    """Asks the worker's whole group to end, or ends it."""
    known = read(folder / WORKER)
    if known is not None and process_started(known["pid"]) == known["started"]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(known["pid"], signal.SIGKILL if force else signal.SIGTERM)


def end_children(folder: Path) -> None:
    """Ends what a dead worker left behind in its group. A pid is not given anew while a group bears it."""
    known = read(folder / WORKER)
    if known is None or process_started(known["pid"]) not in (None, known["started"]):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(known["pid"], signal.SIGKILL)


def process_started(pid: int) -> int | None:
    """When the living process began, in clock ticks since boot; with the pid it names one process for good."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return _started_elsewhere(pid)
    return None if fields[0] in "ZX" else int(fields[19])


def _started_elsewhere(pid: int) -> int | None:
    """The same for systems without /proc, in hundredths of a second."""
    if sys.platform == "linux":
        return None
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 100)
    except psutil.Error:
        return None


def kernel_kills() -> int:
    """How often the kernel has ended a process for want of memory since boot; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def read(path: Path) -> dict[str, Any] | None:
    """A JSON file; None where it is missing or torn."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


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
            found = json.loads(line)
        except ValueError:
            found = {}
        yield (found if isinstance(found, dict) else {}), offset


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
