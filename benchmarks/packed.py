"""int8 and int4 weights against float32 and transformers' `generate`: speed, first token, what the numbers change.

`python -m benchmarks.packed [FOLDER] [--text FILE] --out FILE`, on a model folder or on each benchmark model that is at
hand. It is meant for some 100M parameters: below that the weights fit into the CPU's cache and packing saves bytes
alone. All speeds are in processor time of one thread, sides in
turn. Divergence is KL(float32 || packed) in nats a token over the text, one forward pass.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.decoding import ours, some_requests, theirs
from benchmarks.support.bench_models import at_hand
from genai_lab.errors import LabError
from genai_lab.models import Options, Source
from genai_lab.models.inspect import inspect_folder

ROOT = Path(__file__).resolve().parents[1]
DTYPES, BATCHES, PROMPT_TOKENS = ("float32", "int8", "int4"), (1, 4, 16), 500
TARGETS = {"int8 against generate, batch 1": 2.0, "int8 divergence": 0.01, "int8 bytes against float32": 0.45}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="a decoder-only model (default: the benchmark models)")
    parser.add_argument("--text", type=Path, default=ROOT / "LICENSE", help="what divergence is measured on")
    parser.add_argument("--tokens", type=int, default=24, help="new tokens a row")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text, figures = options.text.read_text(encoding="utf-8"), {}
    chosen = [(options.folder.name, options.folder.resolve())] if options.folder else at_hand()
    for name, folder in chosen:
        print(name, flush=True)
        try:
            figures[name] = measure(folder, text, options.tokens, options.rounds)
        except LabError as problem:
            print(f"{name} is skipped: {problem}")
            continue
        for row in figures[name]:
            print("   ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"targets": TARGETS, "figures": figures}, indent=1) + "\n")
    return 0


def measure(folder: Path, text: str, tokens: int, rounds: int) -> list[dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    generators = {dtype: load(folder, dtype) for dtype in DTYPES}
    plain = generators["float32"]
    ids = torch.tensor([plain.tokenizer(text)["input_ids"][:PROMPT_TOKENS]])
    rows: list[dict[str, Any]] = []
    with torch.no_grad():
        full = plain.module(ids).logits.log_softmax(-1)
        for dtype, generator in generators.items():
            logits = generator.module(ids).logits.log_softmax(-1)
            read = [seconds(lambda module=generator.module: module(ids, logits_to_keep=1)) for _ in range(rounds)]  # type: ignore[misc]
            rows.append(
                {
                    "dtype": dtype,
                    "bytes": generator.tensor_bytes,
                    "divergence": round(float((full.exp() * (full - logits)).sum(-1).mean()), 5),
                    "same best token": round(float((full.argmax(-1) == logits.argmax(-1)).float().mean()), 3),
                    f"seconds to read {ids.shape[1]} tokens": round(median(read), 3),
                }
            )
    for size in BATCHES:
        requests = some_requests(size, greedy=True, tokens=tokens)
        sides = {"generate": theirs(plain, requests)}
        sides |= {dtype: ours(generator, requests) for dtype, generator in generators.items()}
        times: dict[str, list[float]] = {name: [] for name in sides}
        for run in sides.values():
            run()
        for _ in range(rounds):
            for name, run in sides.items():
                times[name].append(seconds(run))
        speeds = {name: size * tokens / median(values) for name, values in times.items()}
        ratios = {f"{name} / generate": round(speeds[name] / speeds["generate"], 2) for name in DTYPES}
        rows.append({"batch": size, **{name: round(speed, 1) for name, speed in speeds.items()}, **ratios})
    for generator in generators.values():
        generator.close()
    return rows


def load(folder: Path, dtype: str) -> Any:
    from genai_lab.models.transformers import load_local

    options = Options(device="cpu", dtype=dtype)
    card = inspect_folder(folder, folder.name, Source("local", str(folder)), options)
    generator = load_local(folder, card, options)
    generator.prepare()
    return generator


def seconds(run: Callable[[], Any]) -> float:
    """Processor time of this process."""
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    raise SystemExit(main())
