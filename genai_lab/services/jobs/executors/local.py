"""Workers as processes of this machine: started, found again, ended with all their children.

The lock of a job folder is taken before its worker is started and handed on to it, so that it is held without a gap
until the worker ends. A job never has two workers, and whoever can take the lock knows that there is none, whichever
process started the last one and however that process ended.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from genai_lab.files import write_json
from genai_lab.glibc_heap import TUNABLES
from genai_lab.services.jobs import job_files
from genai_lab.services.jobs.executors.protocol import Resources, WorkerExit, WorkerName

COMMAND = (sys.executable, "-m", "genai_lab.worker")
ROOT = Path(__file__).resolve().parents[4]
NETWORK_SLOTS = 4
REAPING = 5.0  # seconds


class LocalProcesses:
    """The executor of this machine; a worker leads a process group of its own."""

    def __init__(self, cpu_slots: int = 1) -> None:
        self._resources = Resources(visible_gpus(), cpu_slots, NETWORK_SLOTS)
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, folder: Path, order: Mapping[str, Any], environment: Mapping[str, str]) -> WorkerName | None:
        lock = try_lock(folder)
        if lock is None:
            return None
        devices = {} if order.get("gpu") is None else {"CUDA_VISIBLE_DEVICES": order["gpu"]}
        with lock, (folder / job_files.LOG).open("ab") as log:
            (folder / job_files.EXIT).unlink(missing_ok=True)
            write_json(folder / job_files.ORDER, {**order, "kernel_kills": kernel_kills()})
            worker = subprocess.Popen(
                [*COMMAND, str(folder), str(lock.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
                env={**os.environ, "GLIBC_TUNABLES": TUNABLES, **environment, **devices},
            )
            name = name_of(worker.pid, order["attempt"])
            write_json(folder / job_files.WORKER, asdict(name))
        self._children[folder] = worker
        return name

    def alive(self, folder: Path) -> bool:
        """Whether a worker lives. A child of a dead one may still hold the lock that it has inherited."""
        if (child := self._children.get(folder)) is not None:
            child.poll()  # a worker that has ended stays a zombie until its parent asks
        lock = try_lock(folder)
        if lock is not None:
            lock.close()
            return False
        worker, order = job_files.read(folder / job_files.WORKER), job_files.read(folder / job_files.ORDER)
        if worker is None or order is None or worker["attempt"] != order["attempt"]:
            return True
        return process_started(worker["pid"]) == worker["started"]

    def stop(self, folder: Path, force: bool) -> None:
        worker = job_files.read(folder / job_files.WORKER)
        if worker is not None and process_started(worker["pid"]) == worker["started"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker["pid"], signal.SIGKILL if force else signal.SIGTERM)

    def wait(self, folder: Path) -> WorkerExit:
        child = self._children.pop(folder, None)
        code = None if child is None else _exit_code(child)
        _end_group(folder)
        order = job_files.read(folder / job_files.ORDER) or {}
        killed = code in (None, -signal.SIGKILL)
        return WorkerExit(code, killed and kernel_kills() > order.get("kernel_kills", 0))

    def resources(self) -> Resources:
        return self._resources


def _exit_code(child: "subprocess.Popen[bytes]") -> int | None:
    """The code of a worker that has ended or is about to: the lock is free a moment before its parent can reap it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(REAPING)
    return None


def visible_gpus() -> tuple[str, ...]:
    """The NVIDIA devices that this process may use, as CUDA_VISIBLE_DEVICES names them; torch is not imported."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(part.strip() for part in allowed.split(",") if part.strip() not in ("", "-1"))
    return tuple(str(number) for number, _ in enumerate(sorted(Path("/dev").glob("nvidia[0-9]*"))))


def name_of(pid: int, attempt: int) -> WorkerName:
    return WorkerName(pid, process_started(pid), attempt)


def try_lock(folder: Path) -> IO[str] | None:
    """The open lock, released when it is closed or its process ends; None where another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = (folder / job_files.LOCK).open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream


def _end_group(folder: Path) -> None:
    """Ends what a dead worker left behind in its group. A pid is not reused while a group bears it."""
    worker = job_files.read(folder / job_files.WORKER)
    if worker is None or process_started(worker["pid"]) not in (None, worker["started"]):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker["pid"], signal.SIGKILL)


def process_started(pid: int) -> int | None:
    """When the living process began, in clock ticks since boot; with the pid it names one process for good."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return _started_without_proc(pid)
    return None if fields[0] in "ZX" else int(fields[19])


def _started_without_proc(pid: int) -> int | None:
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
    """How often the kernel has ended a process for want of memory since boot; 0 where it does not count."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
