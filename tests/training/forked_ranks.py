"""The processes of a distributed run, forked from one that has imported torch: torchrun without its imports."""

import multiprocessing
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.training import processes

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["genai_lab.training.training_loop"])


def run_rank(rank: int, count: int, port: int, folder: Path, out: Path) -> None:
    """What torchrun starts, with the variables that it sets."""
    os.environ |= {
        processes.PARENT: str(os.getppid()),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    sys.exit(processes.main(folder, out))


class ForkedRanks:
    """Takes the place of `subprocess.Popen` in `processes.run`."""

    def __init__(self, command: Sequence[str], **_: Any) -> None:
        count, folder, out = int(command[-3]), Path(command[-2]), Path(command[-1])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.ranks = [
            CONTEXT.Process(target=run_rank, args=(rank, count, port, folder, out), daemon=True)
            for rank in range(count)
        ]
        for rank in self.ranks:
            rank.start()

    @property
    def returncode(self) -> int:
        return next((rank.exitcode for rank in self.ranks if rank.exitcode), 0)

    def poll(self) -> int | None:
        """The exit code once all have ended; ends the others where one has failed, as torchrun does."""
        if self.returncode:
            self.terminate()
            self.wait()
        return None if any(rank.is_alive() for rank in self.ranks) else self.returncode

    def terminate(self) -> None:
        for rank in self.ranks:
            rank.terminate()

    def wait(self) -> None:
        for rank in self.ranks:
            rank.join()
