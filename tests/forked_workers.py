"""A plugin of an app under test: its workers are forked from a process that has imported what training needs.

A worker is the same code with the same files, environment, descriptors and process group as `python -m
genai_lab.worker`; only imports are spared, which take most of the time of a small job. That workers start as
programs of their own is tested in tests/jobs and tests/training/test_workers.py.
"""

import ctypes
import gc
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO

from genai_lab.services.jobs import job_files
from genai_lab.services.jobs.executors import local

PR_SET_CHILD_SUBREAPER = 36
LONGEST = 2**17  # bytes of a request
TRAINING = {"train", "keep"}  # kinds of job for which more is imported, once


class Nursery:
    """The process that workers are forked from; it starts with the first worker and ends with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def fork(self, folder: str, environment: Mapping[str, str], log: int, lock: int) -> int:
        """The process id of a new worker, which is a child of this process."""
        with self._lock:
            if self._socket is None:
                self._socket = self._start()
            request = json.dumps({"folder": folder, "environment": dict(environment)}).encode()
            socket.send_fds(self._socket, [request], [log, lock])
            return int(self._socket.recv(32))

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            subprocess.Popen(
                [sys.executable, "-m", "tests.forked_workers", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], cwd=local.ROOT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return ours


class ForkedWorker:
    """Takes the place of `subprocess.Popen` in `executors.local`."""

    nursery = Nursery()

    def __init__(
        self, command: Sequence[str], *, stdout: IO[bytes], pass_fds: Sequence[int], env: Mapping[str, str], **_: object
    ) -> None:
        *program, folder, _lock = command
        assert tuple(program) == local.COMMAND
        self.pid = self.nursery.fork(folder, env, stdout.fileno(), pass_fds[0])
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ask(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int | None:
        return self._ask(0)

    def _ask(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def adopt_orphans() -> bool:
    """Whoever is orphaned below this process becomes its child, as a worker is; False where the system cannot."""
    return sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def use() -> None:
    """From here on this process's jobs are done by forked workers."""
    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "STDOUT", "TimeoutExpired")}
    local.subprocess = SimpleNamespace(Popen=ForkedWorker, **names)  # type: ignore[assignment]


def serve(requests: socket.socket) -> None:
    """In the nursery: forks a worker for each request, twice, so that it is an orphan; ends with the other side."""
    while True:
        request, descriptors, *_ = socket.recv_fds(requests, LONGEST, 2)
        if not request:
            return
        wanted = json.loads(request)
        folder, environment = Path(wanted["folder"]), wanted["environment"]
        if (job_files.read(folder / job_files.ORDER) or {}).get("kind") in TRAINING:
            import_training()
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            worker = os.fork()
            if worker == 0:
                os.close(reading)
                os.close(writing)
                work(requests, folder, environment, *descriptors)
            os.write(writing, str(worker).encode())
            os._exit(0)
        os.waitpid(middle, 0)
        requests.send(os.read(reading, 32))
        for descriptor in (reading, writing, *descriptors):
            os.close(descriptor)


def work(requests: socket.socket, folder: Path, environment: Mapping[str, str], log: int, lock: int) -> None:
    """In a forked process: what `python -m genai_lab.worker` does. Does not return."""
    from genai_lab import worker

    code = 1
    try:
        requests.close()
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ.clear()
        os.environ.update(environment)
        os.umask(0o077)
        code = worker.main(folder, lock)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def import_training() -> None:
    import peft  # noqa: F401

    import genai_lab.training.training_loop  # noqa: F401

    gc.freeze()


def main(descriptor: int) -> None:
    import genai_lab.services.jobs.handlers  # noqa: F401
    from genai_lab.memory import import_engine

    import_engine()
    gc.freeze()
    serve(socket.socket(fileno=descriptor))


if __name__ == "__main__":
    main(int(sys.argv[1]))
elif "genai_lab.worker" not in sys.modules and adopt_orphans():  # a worker opens the lab with its plugins too
    use()
