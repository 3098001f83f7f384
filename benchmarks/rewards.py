"""What reward models give on real preferences: accuracy on held-out prompts, beside simple baselines.

`python -m benchmarks.rewards --part polite|harmless|requests|curve --out FILE`. Runs go through the lab's services and
workers in a home of their own; intervals are of 95 %, resampled over prompts. Pairs are read from `../shared/data` and
left out where they are absent.
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.methods import ended
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.services import datasets, training
from genai_lab.services.training import reward_studies
from genai_lab.starter.tasks.reply import preference

SHARED = Path(__file__).resolve().parents[1] / "../shared/data/preference"
ROLES = {"input": ["prompt"], "chosen": ["chosen"], "rejected": ["rejected"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, default="polite")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--bases", default="starter-toxicity,starter-causal", help="with commas between them")
    parser.add_argument("--methods", default="full,lora", help="with commas between them")
    parser.add_argument("--steps", type=int, default=0, help="0: as the default plan has them")
    parser.add_argument("--seeds", default="0", help="with commas between them; each draws its own held-out pairs")
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


def imported(lab: LabContext, file: str, name: str) -> str | None:
    """The pairs as a dataset; None where the file is absent."""
    path = SHARED / f"{file}.jsonl.gz"
    if not path.is_file():
        print(f"{path.name} is absent and left out.")
        return None
    with gzip.open(path, "rt") as stream:
        rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in map(json.loads, stream)]
    split = SplitPlan(by="none", only="train")
    return datasets.import_rows(lab, rows, name, {"kind": "file"}, mapping=ROLES, split=split).name


def generated(lab: LabContext, name: str, count: int = 1000) -> str:
    """Requests of the starter world with a helpful reply before a curt or rude one."""
    rng = random.Random("requests")
    result = [preference(rng, "train") for _ in range(count)]
    rows = [{"prompt": prompt, "chosen": selection, "rejected": rejected} for prompt, selection, rejected in result]
    split = SplitPlan(by="none", only="train")
    return datasets.import_rows(lab, rows, name, {"kind": "starter"}, mapping=ROLES, split=split).name


def accuracy(lab: LabContext, file: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Every base by every method, on the pairs of one file, or of the starter world."""
    dataset = imported(lab, file, name) if file else generated(lab, name)
    if dataset is None:
        return {}
    rows = []
    for base in options.bases.split(","):
        for method in options.methods.split(","):
            for seed in map(int, options.seeds.split(",")):
                plan = reward_studies.resolve_default(lab, dataset, base, method, options.steps).plan
                started_run = training.start(lab, replace(plan, training=replace(plan.training, seed=seed)))
                ended(lab)
                rows.append(line(training.show(lab, started_run.run_id)))
    return {"dataset": file, "rows": rows}


def line(view: training.TrainingView) -> dict[str, Any]:
    """One run with its report, printed as it goes."""
    report, out = view.report, view.outcome
    stored = {name: value for name, value in report.items() if name not in ("pairs", "worst")}
    row = {"base": view.plan.model, "method": view.plan.method, "seed": view.seed, "steps": out.get("steps")}
    row |= {"seconds": out.get("seconds"), "peak": out.get("peak"), "report": stored}
    if report:
        own_result, beside = report["accuracy"], report["baselines"]
        print(
            f"{row['base']:17} {row['method']:5} seed {row['seed']} {row['steps']:5} steps {row['seconds']:5.0f} s "
            f"{report['training_pairs']:5} pairs, {report['n']} held out: accuracy {own_result['value']:.3f} "
            f"({own_result['low']:.3f} to {own_result['high']:.3f}), words {beside['bag of words']['value']:.3f}, "
            f"longer {beside['longer completion wins']['value']:.3f}, ECE {report['calibration']['ece']:.3f}",
            flush=True,
        )
        for sentence in report["sentences"]:
            print(f"    {sentence}", flush=True)
    return row


def polite(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    return accuracy(lab, "polite_pairs_train", "polite", options)


def requests(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    return accuracy(lab, "", "requests", options)


def harmless(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    return accuracy(lab, "hh_harmless_train", "harmless", options)


def curve(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    """Accuracy against the number of polite pairs, for the first base and method."""
    dataset = imported(lab, "polite_pairs_train", "polite")
    if dataset is None:
        return {}
    base, method = options.bases.split(",")[0], options.methods.split(",")[0]
    study = reward_studies.learning_curve(
        lab, reward_studies.resolve_default(lab, dataset, base, method, options.steps).plan
    )
    ended(lab)
    points = [
        {name: value for name, value in asdict(replace(item)).items() if name != "run"}
        for item in reward_studies.curve(lab, study)
    ]
    for point in points:
        print(f"{point['pairs']:5} pairs: {point['value']:.3f} ({point['low']:.3f} to {point['high']:.3f})", flush=True)
    return {"dataset": "polite_pairs_train", "base": base, "method": method, "points": points}


PARTS: dict[str, Callable[[LabContext, argparse.Namespace], dict[str, Any]]] = {
    "polite": polite, "harmless": harmless, "requests": requests, "curve": curve,
}  # fmt: skip


if __name__ == "__main__":
    began = time.perf_counter()
    code = main()
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes")
    raise SystemExit(code)
