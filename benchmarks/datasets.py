"""Import of a large table: seconds, memory of the process that does it, the profile apart, and any page of the table.

`python -m benchmarks.datasets --out FILE`. The file has a million rows of 200 characters with a label; it is imported
by the command line in a process of its own, whose largest resident size the kernel tells.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.services import datasets

ROWS, CHARACTERS, PAGES = 1_000_000, 200, 30
WORDS = 5_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="datasets-"))
    try:
        figures = [row for kind in ("csv", "jsonl") for row in imports(folder, kind, options.rows)]
        figures += reading(folder / "csv-home", options.rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, value, unit, target in figures:
        print(f"{name:44} {value:10.2f} {unit:4} {target}", flush=True)
    if options.out:
        table = [dict(zip(("name", "value", "unit", "target"), row, strict=True)) for row in figures]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"rows": options.rows, "figures": table}, indent=1) + "\n")
    return 0


def imports(folder: Path, kind: str, rows: int) -> list[tuple[str, Any, str, str]]:
    """Wall clock, processor time and peak memory of one import by the command line, Python's own start included."""
    path, home = folder / f"large.{kind}", folder / f"{kind}-home"
    write(path, kind, rows)
    arguments = ["datasets", "import", str(path), "--name", "large", "--split", "ratio", "--home", str(home)]
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "genai_lab", *arguments], stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"the import ended with code {process.returncode}")
    spent = used.ru_utime + used.ru_stime
    path.unlink()
    what = f"import {rows:,} rows, {kind}"
    return [
        (f"{what}: clock", seconds, "s", "under 60"),
        (f"{what}: processor", spent, "s", ""),
        (f"{what}: peak resident", used.ru_maxrss / 1e6, "GB", "under 1"),
    ]


def reading(home: Path, rows: int) -> list[tuple[str, Any, str, str]]:
    """Pages of the table at random places, the first of a split with nothing remembered, and the profile."""
    lab = bootstrap.open_lab(Config(home=home))
    view = datasets.show(lab, "large")
    rng = random.Random(1)
    cold = clock(lambda: datasets.page(lab, view.id, 0, 20))
    times = [clock(lambda: datasets.page(lab, view.id, rng.randrange(rows), 20)) for _ in range(PAGES)]
    first = clock(lambda: datasets.page(lab, view.id, view.splits["train"] - 20, 20, "train"))
    later = [
        clock(lambda: datasets.page(lab, view.id, rng.randrange(view.splits["train"]), 20, "train"))
        for _ in range(PAGES)
    ]
    profile = clock(lambda: datasets.profile(lab, view.id))
    tokens = clock(lambda: datasets.profile(lab, view.id, "starter-causal"))
    export = clock(lambda: datasets.export(lab, view.id, home / "out.jsonl", "jsonl"))
    lab.close()
    return [
        ("page of 20 rows, the libraries read with it", cold * 1000, "ms", ""),
        ("page of 20 rows, median", statistics.median(times) * 1000, "ms", "under 300"),
        ("page of 20 rows, slowest", max(times) * 1000, "ms", "under 300"),
        ("first page of a split", first * 1000, "ms", "under 300"),
        ("page of a split, slowest", max(later) * 1000, "ms", "under 300"),
        (f"profile of {rows:,} rows", profile, "s", ""),
        ("lengths in tokens of 20,000 rows drawn", tokens, "s", ""),
        (f"export of {rows:,} rows as JSONL", export, "s", ""),
    ]


def clock(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def write(path: Path, kind: str, rows: int) -> None:
    with path.open("w") as stream:
        if kind == "csv":
            stream.write("id,text,label\n")
        for number, text in enumerate(texts(rows)):
            label = "ab"[number % 2]
            if kind == "csv":
                stream.write(f"{number},{text},{label}\n")
            else:
                stream.write(json.dumps({"id": str(number), "text": text, "label": label}) + "\n")


def texts(rows: int) -> Iterator[str]:
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(WORDS)]
    for _ in range(rows):
        yield " ".join(rng.choices(vocabulary, k=60))[:CHARACTERS]


if __name__ == "__main__":
    raise SystemExit(main())
