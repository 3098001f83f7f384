"""The memory of a loaded model: what its card says and what a process takes, each model in a fresh process.

`python -m benchmarks.models [FOLDER ...] --out FILE`. The shipped generators and the given model folders, in float32
and bfloat16 on the CPU. Both figures are of the whole process once the model has written 16 tokens: measured is its
resident memory; foreseen is what it had with the libraries imported and no model, with the card's figure less the cache
of a text that fills the context.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "genai_lab" / "starter" / "weights"
DTYPES, TARGET, TOKENS = ("float32", "bfloat16", "int8", "int4"), 0.2, 16


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("FOLDER", "DTYPE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(Path(options.one[0]), options.one[1])))
        return 0
    folders = [
        WEIGHTS / "starter-causal",
        WEIGHTS / "starter-seq2seq",
        *(folder.resolve() for folder in options.folders),
    ]
    rows = [in_a_process(folder, dtype) for folder in folders for dtype in DTYPES]
    print(f"{'model':28} {'dtype':9} {'foreseen':>9} {'measured':>9} {'ratio':>6} {'model alone':>20}   MB")
    for row in rows:
        alone = f"{row['own_foreseen'] / 1e6:.0f} / {row['own_measured'] / 1e6:.0f}"
        print(
            f"{row['model']:28} {row['dtype']:9} {row['foreseen'] / 1e6:9.0f} {row['measured'] / 1e6:9.0f} "
            f"{row['ratio']:6.2f} {alone:>20}"
        )
    if options.out:
        options.out.write_text(json.dumps({"target": TARGET, "figures": rows}, indent=1) + "\n")
    return 0 if all(abs(row["ratio"] - 1) <= TARGET for row in rows) else 1


def in_a_process(folder: Path, dtype: str) -> dict[str, Any]:
    arguments = [sys.executable, "-m", "benchmarks.models", "--one", str(folder), dtype]
    process = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{folder.name} in {dtype} ended with code {process.returncode}: {process.stderr[-2000:]}")
    output: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return output


def measured(folder: Path, dtype: str) -> dict[str, Any]:
    """Loads the model through the lab's own budget in this process and writes TOKENS tokens."""
    from genai_lab.decoding import Sampling
    from genai_lab.memory import import_engine, release, resident
    from genai_lab.models import Options, Prompt, Request, Source
    from genai_lab.models.cache import ModelCache
    from genai_lab.models.inspect import inspect_folder

    options = Options(device="cpu", dtype=dtype, roots=(folder.parent,))
    card = inspect_folder(folder, folder.name, Source("local", str(folder)), options)
    import_engine()
    release()
    before = resident()
    cache = ModelCache(2**40, options)
    sampling = Sampling(greedy=True, max_new_tokens=TOKENS)
    generator: Any = cache.acquire(card)
    generator.prepare()
    [stream] = generator.submit([Request(Prompt("Once upon a time"), sampling)])
    for _ in stream:
        continue
    release()
    weight_bytes, after = (card.memory_bytes or 0) - (card.cache_bytes or 0), resident()
    return {
        "model": folder.name,
        "dtype": dtype,
        "foreseen": before + weight_bytes,
        "measured": after,
        "ratio": round((before + weight_bytes) / after, 3),
        "own_foreseen": weight_bytes,
        "own_measured": after - before,
        "budget": cache.used_bytes - (card.cache_bytes or 0),
        "context_cache": card.cache_bytes,
    }


if __name__ == "__main__":
    raise SystemExit(main())
