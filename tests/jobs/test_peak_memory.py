"""The peak that a worker reports is its own, however large the process is that has started it."""

import subprocess
import sys

import pytest

from genai_lab.memory import resident

LARGE = 400 * 2**20
REPORT = "from genai_lab import worker; print(worker.peak())"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell it apart")
def test_the_memory_of_the_process_that_starts_a_worker_is_not_counted() -> None:
    block = bytearray(LARGE)
    block[::4096] = b"x" * len(block[::4096])
    assert resident() > LARGE
    done = subprocess.run([sys.executable, "-c", REPORT], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < LARGE
    assert len(block) == LARGE
