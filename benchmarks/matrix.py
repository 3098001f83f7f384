"""A cell of the matrix against a plain loop over transformers' `generate` at batch 1: rows a second, the same texts.

`python -m benchmarks.matrix --out FILE`, for each benchmark model that is at hand. 500 rows of the sentiment task (32
for a model of 100M parameters or more) with the same 4 shots before each, in plain form, greedy, no response cache. Our
side is the whole work of a cell: rows read from the dataset's file, shots chosen, templates filled
in the sandbox, tokens, decoding, scores with intervals, every record written as a line and then into the database. The
loop is given its prompts ready. Both run in turn in one process on the same model and number of threads; medians.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.support.bench_models import NAMES, SMOLLM2, STARTER, at_hand
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.models import Source
from genai_lab.models.transformers import LocalGenerator, load_local
from genai_lab.services import datasets, models
from genai_lab.services.jobs.handlers.matrix import MatrixHandler, cell_records
from genai_lab.services.matrix import MatrixPlan, start
from storage.tables import Job, Run

TEMPLATE = "classify-review-bare"
ROWS, LARGE_ROWS, SHOTS, ROUNDS = 500, 32, 4, 3
AIMS = {STARTER: 8.0, SMOLLM2: 6.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--models", nargs="*", default=[], choices=NAMES)
    parser.add_argument("--rows", type=int, help=f"default: {ROWS}, {LARGE_ROWS} for a large model")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-new-tokens", type=int, default=8)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    results = {}
    for name, folder in at_hand(options.models):
        with tempfile.TemporaryDirectory() as home:
            roots = (folder.parent,)
            lab = bootstrap.open_lab(Config(home=Path(home), device="cpu", dtype="float32", model_roots=roots))
            try:
                if name != STARTER:
                    models.add(lab, name, Source("local", str(folder)))
                results[name] = measured(lab, name, folder, options)
            finally:
                lab.close()
        show(results[name], options)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def show(result: dict[str, Any], options: argparse.Namespace) -> None:
    print(
        f"{result['model']}, {result['rows']} rows, {SHOTS} fixed shots, {result['prompt_tokens']:.0f} tokens a "
        f"prompt of which {result['shared_tokens']} are shared, {result['completion_tokens']:.1f} new tokens a row, "
        f"{options.threads} thread(s), median of {options.rounds}"
    )
    for name, speed in result["rows_per_second"].items():
        print(f"{name:36} {speed:8.1f} rows/s")
    aim = f" (aim {result['aim']:g}x)" if result["aim"] else ""
    print(f"ratio: {result['ratio']:.2f}x by the clock, {result['processor_ratio']:.2f}x in processor time{aim}")
    print(f"texts that differ: {result['different']} of {result['rows']} (aim 0)", flush=True)


def measured(lab: LabContext, name: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Both sides by turns; the first round warms up and is not counted."""
    count = options.rows or (LARGE_ROWS if name == SMOLLM2 else ROWS)
    version = datasets.import_starter(lab, "sentiment", "reviews", rows={"train": 200, "validation": 1, "test": count})
    plan = MatrixPlan(
        dataset=version.name,
        models=(name,),
        templates=(TEMPLATE,),
        shots=(SHOTS,),
        selectors=("fixed",),
        samplings=(Sampling(greedy=True, max_new_tokens=options.max_new_tokens),),
        rows=count,
        rendering="plain",
        fixed=tuple(row.key for row in datasets.examples(lab, version.id, split="train")[:SHOTS]),
        use_cache=False,
    )
    theirs_model = load_local(folder, models.show(lab, name).card, lab.options)
    models.load(lab, name)
    records: list[dict[str, Any]] = []
    loop: list[str] = []
    times: dict[str, list[tuple[float, float]]] = {"loop over generate, batch 1": [], "cell of the matrix": []}
    first, second = times
    for each in range(options.rounds + 1):
        started = start(lab, plan)
        ours = _timed(partial(cell, lab, plan, started.run_id, started.cells[0], records))
        rows = sorted((item["generation"] for item in records if "generation" in item), key=lambda r: r["example"])
        prompts = [row["rendered_prompt"] for row in rows]
        theirs = _timed(partial(plain, theirs_model, prompts, options.max_new_tokens, loop))
        if each:
            times[first].append(theirs)
            times[second].append(ours)
    shared = len(theirs_model._encode(_common(prompts), "completion"))
    clock = {side: statistics.median(one[0] for one in result) for side, result in times.items()}
    medians = {side: statistics.median(one[1] for one in result) for side, result in times.items()}
    return {
        "model": name,
        "rows": len(rows),
        "shots": SHOTS,
        "prompt_tokens": statistics.mean(row["prompt_tokens"] for row in rows),
        "completion_tokens": statistics.mean(row["completion_tokens"] for row in rows),
        "shared_tokens": shared,
        "threads": options.threads,
        "rounds": options.rounds,
        "rows_per_second": {side: len(rows) / seconds for side, seconds in clock.items()},
        "seconds": times,
        "ratio": clock[first] / clock[second],
        "processor_ratio": medians[first] / medians[second],
        "aim": AIMS.get(name),
        "different": sum(row["text"] != text for row, text in zip(rows, loop, strict=True)),
    }


def cell(lab: LabContext, plan: MatrixPlan, matrix: int, run: int, records: list[dict[str, Any]]) -> None:
    """What a worker does for one cell, and what the app does with its records."""
    counts = {"requests": 0, "cached": 0, "errors": 0}
    records[:] = cell_records(lab, matrix, run, plan, {}, counts)
    with tempfile.TemporaryFile("w") as report:
        for item in records:
            report.write(json.dumps(item) + "\n")
    with lab.database.session() as session:
        job = session.query(Job).filter_by(run_id=matrix).one()
        MatrixHandler().ingest(session, job, records)
        assert session.get_one(Run, run).status == "finished"


def plain(generator: LocalGenerator, prompts: list[str], tokens: int, texts: list[str]) -> None:
    """The loop as anybody writes it, stopping where the separator comes."""
    import torch

    module: Any = generator.module
    tokenizer: Any = generator.tokenizer
    texts.clear()
    for prompt in prompts:
        read = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            out = module.generate(
                input_ids=read["input_ids"],
                attention_mask=read["attention_mask"],
                max_new_tokens=tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id or 0,
                stop_strings=["\n"],
                tokenizer=tokenizer,
            )
        # Decoded together, since some tokenizers drop a space at the beginning.
        before, whole = (tokenizer.decode(ids, skip_special_tokens=True) for ids in (read["input_ids"][0], out[0]))
        texts.append(whole[len(before) :].split("\n")[0])


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    clock, processor_time = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor_time


def _common(texts: list[str]) -> str:
    low, high = min(texts), max(texts)
    size = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[:size]


if __name__ == "__main__":
    sys.exit(main())
