"""What tuning gives on real runs: the page's example, every method on one task, DialogSum, continued pre-training.

`python -m benchmarks.methods --part example|starter|dialogsum|pretrain --out FILE`. Runs go through the lab's own
services and workers in a home of their own; scores have 95 % intervals over the held-out rows, methods a paired test
against full tuning. Dialogues and texts are read from `../shared/data` and left out where they are absent.
"""

import argparse
import gzip
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.services import datasets, evaluation, jobs, matrix, training
from genai_lab.services.evaluation import MetricSpec
from genai_lab.services.training import studies, study_results
from genai_lab.services.training.studies import Held
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.methods import METHODS

SHARED = Path(__file__).resolve().parents[1] / "../shared/data"
ROUGE = MetricSpec("rouge", {"lsum": False})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, default="starter")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--methods", default="", help="with commas between them; all that suit without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        lab = bootstrap.open_lab(Config(home=Path(home), device="cpu"))
        try:
            result = PARTS[options.part](lab, options)
        finally:
            lab.close()
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def ended(lab: LabContext, title: str = "") -> None:
    """Waits for every job; tells those that failed."""
    while live := [view for status in ("running", "queued") for view in jobs.find(lab, status=status)[0]]:
        view = jobs.wait(lab, min(item.id for item in live))
        print(f"{view.title}: {view.status} after {view.seconds or 0:.0f} s {view.error or ''}", flush=True)


def table(lab: LabContext, study: int) -> list[dict[str, Any]]:
    """One row a system, printed as it goes."""
    view = studies.show(lab, study)
    scores = evaluation.show(lab, view.evaluations["held out"])
    results = []
    for line, system in zip(study_results.lines(lab, view), scores.systems, strict=True):
        out = line.run.outcome if line.run else {}
        figures = {
            score.figure: [score.value, score.low, score.high] for score in scores.scores if score.system == system.id
        }
        row = {
            "method": line.run.plan.method if line.run else "base",
            "share": out["trained"] / out["parameters"] if out else 0.0,
            "seconds": out.get("seconds"),
            "tokens_per_second": out["tokens"] / out["seconds"] if out else None,
            "peak": out.get("peak"),
            "foreseen": out.get("foreseen"),
            "bytes": out.get("bytes"),
            "n": line.n,
            "figures": {name: figures[name] for name in ("rouge1", "rouge2", "rougeL") if name in figures},
            "against": asdict(line.compared.comparison) | {"p": line.compared.p} if line.compared else None,
        }
        results.append(row)
        value, low, high = row["figures"].get("rougeL", [float("nan")] * 3)
        against = f"{row['against']['difference']:+.3f}, p {row['against']['p']:.2g}" if row["against"] else ""
        print(
            f"{row['method']:14} {100 * row['share']:6.2f} % {row['seconds'] or 0:6.0f} s "
            f"{(row['peak'] or 0) / 1e6:6.0f} MB {(row['bytes'] or 0) / 1e3:8.0f} kB  "
            f"ROUGE-L {value:.3f} ({low:.3f} to {high:.3f}) {against}",
            flush=True,
        )
    return results


def example(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    """The page's first example: from its start to the model in the catalogue, then base and model on test rows."""
    from pages.finetune.new import EXAMPLES

    name = datasets.import_starter(lab, "qa", "starter-qa").name
    plan = next(iter(EXAMPLES.values()))
    began = time.perf_counter()
    started_run = training.start(lab, plan)
    ended(lab)
    seconds = time.perf_counter() - began
    cells = matrix.MatrixPlan(
        dataset=name, models=(plan.model, started_run.model), templates=plan.data[0].templates[:1], shots=(0,),
        samplings=(Sampling(greedy=True, max_new_tokens=32),), seeds=(0,), rows=options.rows, split="test",
        metrics=(ROUGE,),
    )  # fmt: skip
    started_matrix = matrix.start(lab, cells)
    scored = evaluation.start(lab, started_matrix.cells, (ROUGE,), depends_on=started_matrix.job_id)
    ended(lab)
    view = evaluation.show(lab, scored.run_id)
    result = [
        next(
            (score.value, score.low, score.high)
            for score in view.scores
            if (score.system, score.figure) == (system.id, "rougeL")
        )
        for system in view.systems
    ]
    report = " to ".join(f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in result)
    print(f"ROUGE-L {report}, n = {options.rows}, {seconds:.0f} s (aims: +0.25, under 180 s)", flush=True)
    return {"seconds": seconds, "rougeL": result, "n": options.rows, "steps": plan.training.max_steps}


def starter(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    """Every method that suits, at equal steps, on the task that starter-seq2seq was not trained on."""
    name = datasets.import_starter(lab, "qa", "starter-qa").name
    every = [item for item in METHODS if "encoder-decoder" in METHODS.get(item).architectures and item != "qlora"]
    method_names = (
        options.methods.split(",") if options.methods else ["full", *(item for item in every if item != "full")]
    )
    plan = TrainingPlan(
        "starter-seq2seq", (DatasetSpec(name, ("answer-passage", "answer-reading")),),
        training=Training(
            max_steps=options.steps, per_device_batch_size=16, validation_rows=100, eval_steps=options.steps // 4 or 1),
    )  # fmt: skip
    study = studies.bake_off(lab, plan, method_names, Held(options.rows, max_new_tokens=32, metrics=(ROUGE,)))
    ended(lab)
    return {"steps": options.steps, "batch": 16, "rows": table(lab, study)}


def dialogsum(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    """Full tuning and LoRA for a fixed time each, the steps from a measured pace."""
    rows = []
    for split, name in (("train", "dialogsum_train"), ("test", "dialogsum_dev")):
        rows += [{**item, "split": split} for item in lines_of(f"summarization/{name}.jsonl.gz")]
    if not rows:
        return {}
    stored = [{name: row[name] for name in ("dialogue", "summary", "split")} for row in rows]
    roles = {"input": ["dialogue"], "reference": ["summary"]}
    plan = SplitPlan(by="column", column="split")
    name = datasets.import_rows(lab, stored, "dialogsum", {"kind": "file"}, mapping=roles, split=plan).name
    base = TrainingPlan(
        "starter-seq2seq", (DatasetSpec(name, ("summarise-conversation",)),),
        method="full",
        training=Training(max_steps=20, per_device_batch_size=8, max_length=512, max_target_length=96,
            validation_rows=60, eval_steps=20),
    )  # fmt: skip
    started_run = training.start(lab, base)
    ended(lab)
    result = training.curves(lab, training.show(lab, started_run.run_id))["tokens per second"]
    pace = statistics.median(value for _, value in result)
    out = training.show(lab, started_run.run_id).outcome
    steps = max(20, int(60 * options.minutes * pace / (out["tokens"] / out["steps"])))
    print(f"{pace:,.0f} tokens/s: {steps} steps in {options.minutes:g} minutes", flush=True)
    timed = replace(base, training=replace(base.training, max_steps=steps, eval_steps=max(1, steps // 4)))
    study = studies.bake_off(lab, timed, ["full", "lora"], Held(options.rows, max_new_tokens=80, metrics=(ROUGE,)))
    ended(lab)
    return {"steps": steps, "batch": 8, "minutes": options.minutes, "rows": table(lab, study)}


def pretrain(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    """Perplexity a token on a held-out tenth before and after, over blocks; losses on the validation tenth."""
    results: dict[str, Any] = {}
    corpora = (
        ("tinyshakespeare", "starter-causal", "causal"),
        ("wikitext2_valid", "starter-causal", "causal"),
        ("tinyshakespeare", "starter-toxicity", "masked"),
        ("tinyshakespeare", "starter-seq2seq", "spans"),
    )
    for text, model, objective in corpora:
        name = paragraphs(lab, text)
        if name is None:
            continue
        plan = TrainingPlan(
            model, (DatasetSpec(name),), objective,
            "full",
            training=Training(
                max_steps=options.steps, per_device_batch_size=8, max_length=128,
                validation_rows=120, learning_rate=1e-3,
                eval_steps=options.steps // 4 or 1,
            ),
        )  # fmt: skip
        started_run = training.start(lab, plan)
        ended(lab)
        view = training.show(lab, started_run.run_id)
        losses = training.curves(lab, view)["validation loss"]
        row = {"text": text, "model": model, "objective": objective, "losses": losses, "outcome": view.outcome}
        if objective == "causal":
            row["perplexity"] = [block_perplexity(lab, plan, item) for item in (None, started_run.model)]
        results[f"{text} {objective}"] = row
        before, after, took = losses[0][1], view.outcome["best_loss"], view.outcome["seconds"]
        perplexity = row.get("perplexity", "")
        print(f"{text} {objective} {model}: loss {before:.3f} to {after:.3f}, {took:.0f} s {perplexity}", flush=True)
    return results


def block_perplexity(lab: LabContext, plan: TrainingPlan, tuned: str | None) -> dict[str, float]:
    """exp of the mean loss over test blocks with its interval, for the base or a tuned model.

    The checkpoint was chosen on the validation blocks, so that others are measured.
    """
    import numpy as np
    import torch
    from torch.nn.functional import cross_entropy

    from genai_lab.evaluation.statistics import interval
    from genai_lab.metrics import Sample
    from genai_lab.services import models
    from genai_lab.services.training import preparation, resolve
    from genai_lab.training.loading import load_module, load_tokenizer

    plan = replace(plan, validation_split="test")
    resolved = resolve(lab, plan)
    base = resolved.folder
    tokenizer = load_tokenizer(base)
    blocks = preparation.prepare(resolved, tokenizer).validation
    folder = models.show(lab, tuned).card.path if tuned else base
    assert folder is not None
    module = load_module(folder, "decoder-only").eval()
    losses = []
    with torch.no_grad():
        for block in blocks:
            ids = torch.tensor([block.ids])
            losses.append(float(cross_entropy(module(input_ids=ids).logits[0, :-1], ids[0, 1:])))
    measured = interval(Sample(np.array(losses)), seed=0)
    ends = {name: math.exp(getattr(measured, name) or 0) for name in ("value", "low", "high")}
    return ends | {"blocks": measured.n}


def paragraphs(lab: LabContext, text: str) -> str | None:
    """The text as a dataset, a row a paragraph: eight tenths to learn from, one to validate on, the last to test."""
    path = SHARED / "pretrain" / f"{text}.txt.gz"
    if not path.is_file():
        print(f"{path.name} is absent and left out.")
        return None
    name = text.replace("_", "-")
    if existing := datasets.find(lab, name, 1)[0]:
        return existing[0].name
    with gzip.open(path, "rt") as stream:
        pieces = [part.strip() for part in stream.read().split("\n\n" if text == "tinyshakespeare" else "\n")]
    stored = [part for part in pieces if len(part) > 20]
    parts = ("train",) * 8 + ("validation", "test")
    rows = [{"text": part, "split": parts[10 * n // len(stored)]} for n, part in enumerate(stored)]
    plan = SplitPlan(by="column", column="split")
    return datasets.import_rows(lab, rows, name, {"kind": "file"}, mapping={"input": ["text"]}, split=plan).name


def lines_of(path: str) -> list[dict[str, Any]]:
    folder = SHARED / path
    if not folder.is_file():
        print(f"{folder.name} is absent and left out.")
        return []
    with gzip.open(folder, "rt") as stream:
        return [json.loads(line) for line in stream]


PARTS: dict[str, Callable[[LabContext, argparse.Namespace], dict[str, Any]]] = {
    "example": example, "starter": starter, "dialogsum": dialogsum, "pretrain": pretrain,
}  # fmt: skip


if __name__ == "__main__":
    began = time.perf_counter()
    code = main()
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes")
    raise SystemExit(code)
