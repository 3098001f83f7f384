"""One run on several processes of this machine, started by torchrun; the first of them tells how it goes.

`python -m torch.distributed.run ... -m genai_lab.training.processes FOLDER OUT` is one of them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError
from genai_lab.training import Tell
from genai_lab.training.work import Work

TOLD = "told.jsonl"
FAILED = "failed.txt"


def run(work: Work, folder: Path, out: Path, tell: Tell) -> dict[str, Any]:
    """Trains in this process, or in as many as the plan asks for; returns the outcome (see `loop.train`)."""
    if work.training.processes == 1:
        from genai_lab.training.loop import train

        return train(work, folder, out, tell)
    for name in (TOLD, FAILED):
        (folder / name).unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"),
        *(str(work.training.processes), "-m", "genai_lab.training.processes", str(folder), str(out)),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    outcome, place = None, 0
    try:
        while True:
            ended = process.poll() is not None
            for line in _lines(folder / TOLD, place):
                place += len(line)
                outcome = _forward(json.loads(line), tell) or outcome
            if ended:
                break
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait()
    if (folder / FAILED).is_file():
        raise LabError((folder / FAILED).read_text())
    if process.returncode or outcome is None:
        raise LabError(
            f"One of the {work.training.processes} processes ended (code {process.returncode}); see the log."
        )
    return outcome


def _lines(path: Path, place: int) -> Iterator[bytes]:
    if not path.is_file():
        return
    with path.open("rb") as stream:
        stream.seek(place)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            yield line


def _forward(line: dict[str, Any], tell: Tell) -> dict[str, Any] | None:
    name, values = line["call"], line["values"]
    getattr(tell, name)(*values)
    found: dict[str, Any] | None = values[0].get("outcome") if name == "record" else None
    return found


class _Told:
    """A Tell that writes down its calls."""

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


def main(folder: Path, out: Path) -> int:
    import os

    from genai_lab.training.loop import train

    first = os.environ.get("RANK", "0") == "0"
    try:
        train(Work.read(folder), folder, out, _Told(folder / TOLD if first else None))
    except LabError as problem:
        (folder / FAILED).write_text(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
