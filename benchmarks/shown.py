"""What the shipped models score with more and more shots, on their own tasks and on public data.

`python -m benchmarks.shown --out FILE [--data FOLDER]`. Every figure comes from a matrix of the prompt lab, run as a
job in a worker. FOLDER holds `classification/*.jsonl.gz`, `summarization/dialogsum_dev.jsonl.gz` and
`models/stories260K-hf`; what it lacks is left out and named. Figures are shares of exactly right labels with Wilson
intervals, and ROUGE with bootstrap intervals.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.models import Source
from genai_lab.services import datasets, jobs, matrix, models
from genai_lab.services.evaluation import MetricSpec

CAUSAL, SEQ2SEQ, STORIES = "starter-causal", "starter-seq2seq", "stories260K"
SEED = 1
LABEL = Sampling(greedy=True, max_new_tokens=8, stop=("\n",))
SUMMARY = Sampling(greedy=True, max_new_tokens=64)
ACCURACY = (MetricSpec("classification"),)
ROUGE = (MetricSpec("rouge", {"use_stemmer": True}),)


@dataclass(frozen=True)
class Case:
    """A dataset (a file below the data folder, or a starter task) and what is tried on it."""

    name: str
    source: str
    models: tuple[str, ...]
    templates: tuple[str, ...]
    shots: tuple[int, ...]
    rows: int
    sampling: Sampling = LABEL
    metrics: tuple[MetricSpec, ...] = ACCURACY
    figures: tuple[str, ...] = ("accuracy",)
    mapping: tuple[tuple[str, str], ...] = ()


GROWING = (0, 1, 4, 8)
CASES = (
    Case("starter sentiment", "sentiment", (CAUSAL, STORIES), ("classify-review-bare",), GROWING, 300),
    Case(
        "SMS spam",
        "classification/sms_spam_train.jsonl.gz",
        (CAUSAL, STORIES),
        ("classify-text", "classify-review-bare"),
        GROWING,
        300,
        mapping=(("input", "text"), ("label", "label")),
    ),
    Case(
        "TREC questions",
        "classification/trec_train.jsonl.gz",
        (CAUSAL, STORIES),
        ("classify-text", "classify-review-bare"),
        GROWING,
        300,
        mapping=(("input", "text"), ("label", "label")),
    ),
    Case(
        "starter summaries",
        "summary",
        (SEQ2SEQ,),
        ("summarise-conversation",),
        (0,),
        300,
        SUMMARY,
        ROUGE,
        ("rouge1", "rouge2", "rougeL"),
    ),
    Case(
        "DialogSum dev",
        "summarization/dialogsum_dev.jsonl.gz",
        (SEQ2SEQ,),
        ("summarise-conversation",),
        (0,),
        500,
        SUMMARY,
        ROUGE,
        ("rouge1", "rouge2", "rougeL"),
        (("input", "dialogue"), ("reference", "summary")),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="default: %(default)s")
    parser.add_argument("--rows", type=int, help="at most so many rows a case")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as home:
        folder = options.data.resolve()
        lab = bootstrap.open_lab(
            Config(home=Path(home), device="cpu", dtype="float32", model_roots=(folder / "models",))
        )
        try:
            existing = {CAUSAL, SEQ2SEQ} | _added(lab, folder)
            for case in CASES:
                for row in shown(lab, case, folder, existing, options.rows):
                    print(line(row), flush=True)
                    rows.append(row)
        finally:
            lab.close()
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def shown(lab: LabContext, case: Case, folder: Path, existing: set[str], most: int | None) -> list[dict[str, Any]]:
    """One row a cell and figure; none where the case's data are not there."""
    names = tuple(name for name in case.models if name in existing)
    if "/" in case.source and not (folder / case.source).is_file():
        print(f"{case.name}: left out, {case.source} is not in the data folder")
        return []
    version = _imported(lab, case, folder)
    plan = matrix.MatrixPlan(
        dataset=version.name,
        models=names,
        templates=case.templates,
        shots=case.shots,
        samplings=(case.sampling,),
        seeds=(SEED,),
        rows=min(case.rows, most or case.rows, version.splits["test"]),
        sample_seed=SEED,
        metrics=case.metrics,
    )
    started = matrix.start(lab, plan)
    job = jobs.wait(lab, started.job_id)
    if job.status != "finished":
        raise SystemExit(f"{case.name}: {job.error}")
    return [
        {
            "case": case.name,
            "model": cell.system.model,
            "template": cell.system.template,
            "shots": cell.k,
            "fitted": cell.fitted,
            "figure": score.figure,
            "value": score.value,
            "low": score.low,
            "high": score.high,
            "n": score.n,
            "signature": score.signature,
            "seconds": cell.seconds,
        }
        for cell in matrix.show(lab, started.run_id).cells
        for score in cell.scores
        if score.figure in case.figures
    ]


def line(row: dict[str, Any]) -> str:
    fewer = {k: n for k, n in row["fitted"].items() if int(k) < row["shots"]}
    note = "; ".join(f"only {k} fit for {n}" for k, n in sorted(fewer.items()))
    what = f"{row['case']:18} {row['model']:16} {row['template']:24} {row['shots']} shots  {row['figure']:9}"
    return (
        f"{what} {row['value']:.3f} "
        f"({row['low']:.3f} to {row['high']:.3f}), n = {row['n']}, {row['seconds']:.1f} s  {note}"
    )


def _added(lab: LabContext, folder: Path) -> set[str]:
    path = folder / "models" / "stories260K-hf"
    if not path.is_dir():
        print(f"{STORIES}: left out, {path.name} is not in the data folder")
        return set()
    models.add(lab, STORIES, Source("local", str(path)))
    return {STORIES}


def _imported(lab: LabContext, case: Case, folder: Path) -> datasets.VersionView:
    if "/" not in case.source:
        return datasets.import_starter(lab, case.source)
    split = SplitPlan("ratio", (0.8, 0.1, 0.1), seed=SEED) if max(case.shots) else SplitPlan("none", only="test")
    mapping = {role: [column] for role, column in case.mapping}
    name = case.name.lower().replace(" ", "-")
    return datasets.import_file(lab, folder / case.source, name, mapping=mapping, split=split)


if __name__ == "__main__":
    sys.exit(main())
