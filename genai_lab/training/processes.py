"""One run on several processes of this machine, started by torchrun; the first of them tells how it goes.

`python -m genai_lab.training.processes PARENT COUNT FOLDER OUT` is torchrun, and without PARENT and COUNT one of its
processes. Each ends with the process that started it, however that one ends: torchrun puts its processes into sessions
of their own, where no signal to a job's group finds them, and the next attempt would train beside them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError
from genai_lab.training import Reporter
from genai_lab.training.inputs import TrainingInputs

REPORTS = "reports.jsonl"
FAILED = "failed.txt"
BROKEN = "broken.txt"
PARENT = "GENAI_LAB_TORCHRUN"
PR_SET_PDEATHSIG = 1


def run(inputs: TrainingInputs, folder: Path, out: Path, reporter: Reporter) -> dict[str, Any]:
    """Trains in this process, or in as many as the plan asks for; returns the outcome (see `loop.train`)."""
    if inputs.training.processes == 1:
        from genai_lab.training.training_loop import train

        return train(inputs, folder, out, reporter)
    for name in (REPORTS, FAILED, BROKEN):
        (folder / name).unlink(missing_ok=True)
    command = [sys.executable, "-m", "genai_lab.training.processes", str(os.getpid())]
    process = subprocess.Popen(
        [*command, str(inputs.training.processes), str(folder), str(out)], stdin=subprocess.DEVNULL
    )
    outcome, offset = None, 0
    try:
        while True:
            ended = process.poll() is not None
            for line in _lines(folder / REPORTS, offset):
                offset += len(line)
                outcome = _forward(json.loads(line), reporter) or outcome
            if ended:
                break
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait()
    if (folder / FAILED).is_file():
        raise LabError((folder / FAILED).read_text())
    if process.returncode or outcome is None:
        raise _broken(folder, inputs.training.processes, process.returncode)
    return outcome


def _broken(folder: Path, count: int, code: int) -> Exception:
    """What ended the first of the processes that ended by an error, if it could still say so."""
    if not (folder / BROKEN).is_file():
        return LabError(f"One of the {count} processes was ended (code {code}); see the log.")
    line = (folder / BROKEN).read_text()
    if "out of memory" in line.lower() or "can't allocate memory" in line.lower():
        return MemoryError(line)
    return LabError(f"One of the {count} processes ended: {line}; see the log.")


def _lines(path: Path, offset: int) -> Iterator[bytes]:
    if not path.is_file():
        return
    with path.open("rb") as stream:
        stream.seek(offset)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            yield line


def _forward(line: dict[str, Any], reporter: Reporter) -> dict[str, Any] | None:
    name, values = line["call"], line["values"]
    getattr(reporter, name)(*values)
    outcome: dict[str, Any] | None = values[0].get("outcome") if name == "record" else None
    return outcome


class _FileReporter:
    """Writes its calls to a file, which the first process forwards."""

    def __init__(self, path: Path | None) -> None:
        self._stream = path.open("a") if path else None

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self._write("progress", done, total, message)

    def metric(self, name: str, step: int, value: float) -> None:
        self._write("metric", name, step, value)

    def record(self, item: dict[str, Any]) -> None:
        self._write("record", item)

    def _write(self, call: str, *values: Any) -> None:
        if self._stream is not None:
            self._stream.write(json.dumps({"call": call, "values": values}) + "\n")
            self._stream.flush()


def end_with(parent: int) -> None:
    """Ends this process as soon as `parent`, which started it, has ended."""

    def parent_ended() -> bool:
        return os.getppid() != parent

    def watch() -> None:
        while not parent_ended():
            time.sleep(0.5)
        os._exit(1)

    if not _signalled_by_kernel():
        threading.Thread(target=watch, daemon=True).start()
    if parent_ended():  # before the kernel knew
        os._exit(1)


def _signalled_by_kernel() -> bool:
    import ctypes

    try:
        return ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False  # no Linux


def launch(parent: int, count: int, folder: Path, out: Path) -> None:
    """Is torchrun until its processes have ended."""
    end_with(parent)
    from torch.distributed.run import main as torchrun

    os.environ[PARENT] = str(os.getpid())
    module = ["-m", "genai_lab.training.processes", str(folder), str(out)]
    torchrun(["--standalone", "--nproc-per-node", str(count), *module])


def main(folder: Path, out: Path) -> int:
    end_with(int(os.environ[PARENT]))
    first = os.environ.get("RANK", "0") == "0"
    try:
        from genai_lab.training.training_loop import train

        train(TrainingInputs.read(folder), folder, out, _FileReporter(folder / REPORTS if first else None))
    except LabError as problem:
        (folder / FAILED).write_text(str(problem))
        return 1
    except Exception as problem:
        traceback.print_exc()
        lines = str(problem).strip().splitlines() or [""]
        with contextlib.suppress(FileExistsError), (folder / BROKEN).open("x") as stream:  # others fail for want of it
            stream.write(f"{type(problem).__name__}: {lines[0].rstrip('.')[:300]}")
        return 1
    return 0


if __name__ == "__main__":
    *started, folder, out = sys.argv[1:]
    if started:
        launch(int(started[0]), int(started[1]), Path(folder), Path(out))
    else:
        sys.exit(main(Path(folder), Path(out)))
