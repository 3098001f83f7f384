"""`python -m benchmarks.contention`: a training step beside other processes that compute, with torch's threads waiting
as the lab lets them (GOMP_SPINCOUNT=1000) and as they would by themselves; by turns, medians of rounds.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

ROUNDS, SECONDS, THREADS = 5, 5.0, 2
OURS = {"GOMP_SPINCOUNT": "1000"}


def network(layers: int, width: int) -> Any:
    from torch import nn

    block = [nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.LayerNorm(width)]
    return nn.Sequential(*[layer for _ in range(layers) for layer in block])


def steps() -> None:
    """Trains for SECONDS and prints the median step in milliseconds."""
    import torch

    model, rows = network(12, 256), torch.randn(128, 256)
    optimizer, durations = torch.optim.AdamW(model.parameters()), []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or not durations:
        began = time.perf_counter()
        optimizer.zero_grad()
        model(rows).square().mean().backward()
        optimizer.step()
        durations.append(time.perf_counter() - began)
    print(statistics.median(durations) * 1e3)


def beside() -> None:
    """Reads without end, as a playground or a matrix does."""
    import torch

    model, rows = network(5, 256), torch.randn(64, 256)
    while True:
        model(rows)


def command(what: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.contention", what]


def main() -> None:
    plain = {**{name: value for name, value in os.environ.items() if name not in OURS}, "OMP_NUM_THREADS": str(THREADS)}
    for others in (0, 1, 3):
        sides: dict[str, list[float]] = {"lab": [], "torch": []}
        for _ in range(ROUNDS):
            for side, env in (("lab", {**plain, **OURS}), ("torch", plain)):
                running = [subprocess.Popen(command("beside"), env=env) for _ in range(others)]
                time.sleep(4.0 if others else 0.0)  # until they have imported torch
                try:
                    sides[side].append(float(subprocess.check_output(command("steps"), env=env)))
                finally:
                    for item in running:
                        item.kill()
                        item.wait()
        ratios = [slow / fast for fast, slow in zip(sides["lab"], sides["torch"], strict=True)]
        result = {name: round(statistics.median(values), 1) for name, values in sides.items()}
        spread = [round(min(ratios), 2), round(statistics.median(ratios), 2), round(max(ratios), 2)]
        print(json.dumps({"processes beside": others, "ms a step": result, "ratio (least, median, most)": spread}))


if __name__ == "__main__":
    {"steps": steps, "beside": beside}.get(sys.argv[1] if len(sys.argv) > 1 else "", main)()
