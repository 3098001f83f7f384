"""The process that does one job: `python -m genai_lab.worker JOB_FOLDER`. It reports in files and never writes the
database.
"""

import contextlib
import errno
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from genai_lab.files import write_json
from genai_lab.memory import peak
from genai_lab.services.jobs import job_files
from genai_lab.services.jobs.executors.local import name_of, try_lock

HEARTBEAT = 1.0
SPARE = 64 * 1024
MEMORY = "The job needed more memory than this machine has; use a smaller model, fewer rows or shorter texts at once."
DISK = "The disk is full; free some space and try the job again."
CODES = {
    "finished": 0,
    "failed": job_files.FAILED,
    "out of memory": job_files.NO_MEMORY,
    "disk full": job_files.DISK_FULL,
}


class FileReporter:
    """Appends lines to the job's report; see `genai_lab.services.jobs.handlers.Report`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / job_files.REPORT
        self._earlier = path.stat().st_size if path.exists() else 0
        self._stream = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._told = 0.0
        self._first: tuple[float, float] | None = None
        if self._earlier:
            self._stream.write("\n")  # the last attempt may have ended within a line

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        now = time.monotonic()
        self._first = self._first or (now, done)
        if now - self._told > 0.1 or done == total:
            self._told = now
            self.line({"progress": [done, total, message, self._left(now, done, total)]})

    def _left(self, now: float, done: float, total: float | None) -> float | None:
        """Seconds to the end at the pace of this attempt, as far as one can be told."""
        began, before = self._first or (now, done)
        if not total or done <= before or now - began < 1.0:
            return None
        return max(0.0, (now - began) / (done - before) * (total - done))

    def metric(self, name: str, step: int, value: float) -> None:
        self.line({"metric": [name, step, value]})

    def record(self, item: dict[str, Any]) -> None:
        self.line({"record": item})

    def earlier(self) -> Iterator[dict[str, Any]]:
        path = self.folder / job_files.REPORT
        offset = 0
        while offset < self._earlier:
            before = offset
            for line, offset in job_files.lines(path, before):
                if offset <= self._earlier and "record" in line:
                    yield line["record"]
            if offset == before:
                return

    def line(self, item: dict[str, Any]) -> None:
        with self._lock:
            self._stream.write(json.dumps(item, ensure_ascii=False) + "\n")
            self._stream.flush()


def main(folder: Path, lock_descriptor: int | None = None) -> int:
    """The code for the operating system; `exit.json` tells more, and without it the process was killed.

    `held` is the descriptor of the folder's lock where the process that started this one has taken it.
    """
    lock = _lock(folder, lock_descriptor)
    order = job_files.read(folder / job_files.ORDER)
    if lock is None or order is None:
        return 0  # another worker does this job
    os.nice(5)
    _offer_to_the_kernel()
    write_json(folder / job_files.WORKER, asdict(name_of(os.getpid(), order["attempt"])))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    spare = _spare(folder)
    ended = _body(folder, order, spare)
    spare.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the code alone has to do
        write_json(folder / job_files.EXIT, ended | {"attempt": order["attempt"], "peak_memory": peak()})
    return CODES[ended["reason"]]


def _lock(folder: Path, lock_descriptor: int | None) -> IO[str] | None:
    if lock_descriptor is None:
        return try_lock(folder)
    os.set_inheritable(lock_descriptor, False)
    return os.fdopen(lock_descriptor, "a")


def _offer_to_the_kernel() -> None:
    """Where memory runs out, the worker should be ended and not the app."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _spare(folder: Path) -> Path:
    """Room on the disk for the last word, given back before it is written."""
    path = folder / "spare"
    with contextlib.suppress(OSError):
        path.write_bytes(bytes(SPARE))
    return path


def _body(folder: Path, order: dict[str, Any], spare: Path) -> dict[str, Any]:
    from genai_lab.errors import LabError

    try:
        report = FileReporter(folder)
        _beat(report)
        from genai_lab import bootstrap
        from genai_lab.config import Config
        from genai_lab.services.jobs.handlers import HANDLERS

        lab = bootstrap.open_worker(Config.from_environment())
        result = HANDLERS.get(order["kind"]).run(lab, order["settings"], report)
        return {"status": "finished", "reason": "finished", "result": result}
    except LabError as problem:
        return _failed("failed", str(problem))
    except MemoryError:
        return _failed("out of memory", MEMORY)
    except OSError as problem:
        _trace(spare)
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            return _failed("disk full", DISK)
        if problem.errno == errno.ENOMEM:
            return _failed("out of memory", MEMORY)
        return _failed("failed", f"The job stopped at a file: {problem}.")
    except Exception as problem:
        _trace(spare)
        text = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        if "out of memory" in text.lower() or "can't allocate memory" in text.lower():
            return _failed("out of memory", MEMORY)
        if "no space left on device" in text.lower() or "disk is full" in text.lower():
            return _failed("disk full", DISK)
        return _failed("failed", f"The job stopped at an error of the lab ({type(problem).__name__}: {text[:300]}).")


def _trace(spare: Path) -> None:
    """Into the log, for which a full disk may have no room otherwise."""
    spare.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        traceback.print_exc()
        sys.stderr.flush()


def _failed(reason: str, error: str) -> dict[str, Any]:
    return {"status": "failed", "reason": reason, "error": error, "result": None}


def _beat(report: FileReporter) -> None:
    """Tells every second that this process lives, and the most memory that it has had."""

    def beat() -> None:
        while True:
            with contextlib.suppress(OSError):
                report.line({"heartbeat": peak()})
            time.sleep(HEARTBEAT)

    threading.Thread(target=beat, daemon=True).start()


if __name__ == "__main__":
    os.umask(0o077)  # what a job writes is its owner's alone
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))
