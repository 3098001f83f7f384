"""From nothing loaded to the first token: the lab against `from_pretrained` and `generate`, fresh processes by turns.

`python -m benchmarks.first_token --out FILE`. Each round starts one process a side and model. The clock begins once
both have imported torch and transformers' classes, and the lab's data home is open with the model in its catalogue, as
the app stands when somebody presses Generate; it ends with the first token. The lab's side is the whole service: the
catalogue's row, checks of the files, the budget, the engine, the run's record. Medians; beside the clock stands the
processor time, which other programs on the machine disturb less.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from app import SWITCH_INTERVAL
from benchmarks.support.bench_models import NAMES, at_hand

AIM, ROUNDS = 1.3, 5
TEXT = "Once there was a boy called Felix who wanted a kite and asked his old friend for help near the river"
SIDES = ("from_pretrained", "lab")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--models", nargs="*", default=[], choices=NAMES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help="one measurement in this process, as a line of JSON")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    if options.side:
        import torch

        torch.set_num_threads(options.threads)
        work = plain if options.side == "from_pretrained" else lab
        print(json.dumps(work(options.folder, options.home)))
        return 0
    figures = []
    for name, folder in at_hand(options.models):
        figures.append(compare(name, folder, options))
        print(line(figures[-1]), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"threads": options.threads, "figures": figures}, indent=1) + "\n")
    return 0


def compare(name: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Both sides by turns; the first round reads the files into the system's cache and is not counted."""
    times: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as home:
        add_model(Path(home), folder)
        for number in range(options.rounds + 1):
            for side in SIDES:
                measured = once(side, folder, Path(home), options.threads)
                if number:
                    times[side].append(measured)
    first, second = (
        {key: median(one[key] for one in times[side]) for key in ("seconds", "processor_seconds")} for side in SIDES
    )
    parts = {
        side: {key: median(one.get(key, 0.0) for one in times[side]) for key in ("load", "first_token")}
        for side in SIDES
    }
    return {
        "figure": "load to first token",
        "model": name,
        "aim": f"at most {AIM}x",
        "rounds": options.rounds,
        "seconds": {SIDES[0]: first["seconds"], SIDES[1]: second["seconds"]},
        "processor_seconds": {SIDES[0]: first["processor_seconds"], SIDES[1]: second["processor_seconds"]},
        "parts": parts,
        "ratio": second["seconds"] / first["seconds"],
        "processor_ratio": second["processor_seconds"] / first["processor_seconds"],
    }


def add_model(home: Path, folder: Path) -> None:
    """A data home whose catalogue has the model, hashed, as it is after the first start."""
    from genai_lab import bootstrap
    from genai_lab.models import Source
    from genai_lab.services import models

    opened = bootstrap.open_lab(config(home, folder))
    try:
        models.add(opened, "measured", Source("local", str(folder)))
    finally:
        opened.close()


def config(home: Path, folder: Path) -> Any:
    from genai_lab.config import Config

    return Config(home=home, device="cpu", dtype="float32", model_roots=(folder.parent,))


def once(side: str, folder: Path, home: Path, threads: int) -> dict[str, float]:
    command = [
        sys.executable, "-m", "benchmarks.first_token", "--side", side, "--folder", str(folder), "--home", str(home),
        "--threads", str(threads),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def plain(folder: Path, home: Path) -> dict[str, float]:
    """What a script does with transformers alone, greedy, in float32."""
    from genai_lab.memory import import_engine

    import_engine()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gc.freeze()  # as the app does once it is open
    clock = Clock()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    clock.lap("load")
    read = tokenizer(TEXT, return_tensors="pt")
    with torch.inference_mode():
        model.generate(
            input_ids=read["input_ids"], attention_mask=read["attention_mask"], max_new_tokens=1, do_sample=False,
            pad_token_id=tokenizer.pad_token_id or 0,
        )  # fmt: skip
    return clock.end()


def lab(folder: Path, home: Path) -> dict[str, float]:
    from genai_lab import bootstrap
    from genai_lab.decoding import Sampling
    from genai_lab.memory import import_engine
    from genai_lab.models import Prompt
    from genai_lab.provenance import provenance
    from genai_lab.services import generation, models

    opened = bootstrap.open_lab(config(home, folder))
    import_engine()
    provenance()
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()  # as the app does once it is open
    clock = Clock()
    models.load(opened, "measured")
    clock.lap("load")
    live = generation.start(opened, "measured", Prompt(TEXT), Sampling(greedy=True, max_new_tokens=1))
    deltas = iter(live)  # held, since a run is saved as soon as nobody watches it
    while not next(deltas).tokens:
        continue
    times = clock.end()
    live.cancel()
    for _ in deltas:
        continue
    opened.close()
    return times


class Clock:
    """Seconds by the clock and of the process, with laps by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._began, self._processor = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        self.laps[name] = time.perf_counter() - self._began - sum(self.laps.values())

    def end(self) -> dict[str, float]:
        seconds, processor_seconds = time.perf_counter() - self._began, time.process_time() - self._processor
        self.lap("first_token")
        return {"seconds": seconds, "processor_seconds": processor_seconds, **self.laps}


def line(row: dict[str, Any]) -> str:
    sides = "   ".join(f"{side} {row['seconds'][side]:.2f} s (load {row['parts'][side]['load']:.2f})" for side in SIDES)
    ratios = f"{row['ratio']:.2f}x by the clock, {row['processor_ratio']:.2f}x in processor time"
    return f"{row['model']:24} {sides}   {ratios} ({row['aim']})"


if __name__ == "__main__":
    sys.exit(main())
