"""What a published chat model learns from preferences, and what fine-tuning it costs beside what was foreseen.

`python -m benchmarks.chat_models reward|dpo --model FOLDER --data PAIRS.jsonl.gz --out FILE` trains on a file of pairs
(fields prompt, chosen, rejected; texts) through the lab's services and workers in a home of its own, with the settings
that the lab proposes unless options say otherwise. A fifth of the prompts is held out by the seed, and a training row
whose prompt is held out is not learned. Intervals are of 95 %, resampled over prompts.

`python -m benchmarks.chat_models cost --model FOLDER` runs a few steps of several shapes, on rows of random words that
have nearly the length: memory as foreseen before the launch beside the worker's own peak, and the time of the run as
foreseen beside the one that it took. Nothing is fetched.
"""

import argparse
import gzip
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods import ended
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.models import Source
from genai_lab.services import datasets, models, training
from genai_lab.services.training import estimates, reward_studies
from genai_lab.services.training.resolution import VersionSource
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.preference_data import divide_votes
from genai_lab.training.reward_report import clustered_accuracy, compare_accuracies, right

ROLES = {"input": ["prompt"], "chosen": ["chosen"], "rejected": ["rejected"]}
TRAIN = SplitPlan(by="none", only="train")
MODEL, PAIRS, STEPS = "model", "pairs", 4
WORDS = ("tea", "sun", "cat", "dog", "red", "one", "two", "moon", "bird", "green")


@dataclass(frozen=True)
class Shape:
    """Rows of `length` tokens in batches of `rows`."""

    method: str
    rows: int
    length: int
    checkpointing: bool = False
    objective: str = "instruction"

    def __str__(self) -> str:
        options = ", checkpointing" if self.checkpointing else ""
        return f"{self.objective}, {self.method}, {self.rows} x {self.length}{options}"


SHAPES = (
    Shape("lora", 1, 128),
    Shape("lora", 4, 128),
    Shape("lora", 1, 512),
    Shape("lora", 4, 512),
    Shape("lora", 4, 512, checkpointing=True),
    Shape("full", 1, 128),
    Shape("full", 4, 128),
    Shape("lora", 4, 128, objective="reward"),
    Shape("lora", 4, 128, objective="dpo"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--model", required=True, help="a folder of a model with a chat template")
    parser.add_argument("--data", type=Path, help="pairs, one JSON object a line, or the same as .gz")
    parser.add_argument("--rows", type=int, default=0, help="read no more than these, drawn with the seed")
    parser.add_argument("--method", default="lora")
    parser.add_argument("--steps", type=int, default=0, help="0: as the lab proposes; of cost, 4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", default="{}", help="settings of the training, as JSON")
    parser.add_argument("--format", default="by model", help="chat, plain, or by model")
    parser.add_argument("--only", default="", help="shapes whose text holds this")
    parser.add_argument("--time", action="store_true", help="foresee the time of each shape too")
    parser.add_argument("--home", type=Path, help="keeps the runs, so that one that was stopped goes on")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary)
        root = Path(options.model).resolve().parent
        lab = bootstrap.open_lab(Config(home=home, device="cpu", model_roots=(root,)))
        try:
            if MODEL not in [view.card.name for view in models.catalogue(lab)]:
                models.add(lab, MODEL, Source("local", str(Path(options.model).resolve())))
            result = PARTS[options.part](lab, options)
        finally:
            lab.close()
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def load_pairs(lab: LabContext, options: argparse.Namespace) -> str:
    """The file as a dataset of the lab; rows are drawn with the seed."""
    opened = gzip.open if options.data.suffix == ".gz" else open
    with opened(options.data, "rt") as stream:
        rows = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in map(json.loads, stream)]
    if options.rows and options.rows < len(rows):
        rows = random.Random(f"rows {options.seed}").sample(rows, options.rows)
    return datasets.import_rows(lab, rows, PAIRS, {"kind": "file"}, mapping=ROLES, split=TRAIN).name


def train(lab: LabContext, options: argparse.Namespace, objective: str) -> training.TrainingView:
    """The finished run on the pairs, or one of an earlier call with the same home."""
    if not (past := training.find(lab)):
        plan = reward_studies.resolve_default(
            lab, load_pairs(lab, options), MODEL, options.method, options.steps, objective
        ).plan
        settings = replace(plan.training, seed=options.seed, **json.loads(options.set))
        run = training.start(lab, replace(plan, training=settings, format=options.format)).run_id
    else:
        run = past[0].run_id
    ended(lab)
    return training.show(lab, run)


def figures_of(view: training.TrainingView) -> dict[str, Any]:
    """What the run's own report says, printed in a line."""
    report, out, settings = view.report, view.outcome, view.plan.training
    accuracy = report["accuracy"]
    beside = {name: round(figure["value"], 3) for name, figure in report["baselines"].items()}
    print(
        f"{report['training_pairs']} pairs learned, {report['n']} held out: {accuracy['value']:.3f} "
        f"({accuracy['low']:.3f} to {accuracy['high']:.3f}); beside {beside}; {out['steps']} steps of "
        f"{settings.per_device_batch_size}, rate {view.rate:g}, {out['seconds'] / 60:.1f} min, "
        f"peak {out['peak'] / 1e6:,.0f} MB (foreseen {out['foreseen'] / 1e6:,.0f})",
        flush=True,
    )
    for sentence in report["sentences"]:
        print(f"    {sentence}", flush=True)
    kept = {name: value for name, value in report.items() if name not in ("pairs", "worst", "scores")}
    return {"plan": view.plan.as_dict(), "rate": view.rate, "outcome": out, "report": kept}


def reward(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    return figures_of(train(lab, options, "reward"))


def dpo(lab: LabContext, options: argparse.Namespace) -> dict[str, Any]:
    """The run's report, and its accuracy beside that of the base on the same held-out pairs.

    A policy's margin is its implicit reward; the base's own is 0 on every pair by definition, so that what it prefers
    is read from its log-probabilities.
    """
    view = train(lab, options, "dpo")
    result = figures_of(view)
    held = divide_votes(VersionSource(lab, datasets.show(lab, view.plan.data[0].dataset)), view.plan).held
    implicit = right(np.array([margin for _, _, margin in view.report["pairs"]]))
    ties = np.full(len(held), 0.5)
    result["against_base"] = compare_accuracies(held, ties, implicit)
    result["accuracy"] = clustered_accuracy(held, implicit).value
    print(f"    implicit reward against the base's ties: {result['against_base']}", flush=True)
    return result


def cost(lab: LabContext, options: argparse.Namespace) -> list[dict[str, Any]]:
    lines = []
    for number, shape in enumerate(shape for shape in SHAPES if options.only in str(shape)):
        plan = plan_of(lab, shape, f"shape-{number}", options.steps or STEPS)
        resolved = training.resolve(lab, plan)
        foreseen = estimates.estimate(lab, resolved).peak
        seconds = estimates.time_run(lab, resolved).seconds if options.time else None
        run = training.start(lab, plan)
        ended(lab)
        out = training.show(lab, run.run_id).outcome
        line = {"shape": str(shape), "foreseen": foreseen, "measured": out["peak"]}
        line |= {"seconds_foreseen": seconds, "seconds": out["seconds"], "ratio": foreseen / out["peak"]}
        lines.append(line)
        timed = f", {out['seconds']:.0f} s (foreseen {seconds:.0f})" if seconds is not None else ""
        print(
            f"{shape!s:42} {foreseen / 1e6:8,.0f} MB foreseen {out['peak'] / 1e6:8,.0f} measured "
            f"{line['ratio']:.2f}{timed}",
            flush=True,
        )
    return lines


def plan_of(lab: LabContext, shape: Shape, name: str, steps: int) -> TrainingPlan:
    """A run of so many steps on rows of nearly the shape's length."""
    rng = random.Random(name)
    words = shape.length - 60  # what the template writes around the turns

    def text(count: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(count))

    rows = []
    for _ in range(shape.rows * (steps + 4)):
        question, answers = text(words // 2), [text(words // 2) for _ in range(2)]
        sides = [[{"role": "user", "content": question}, {"role": "assistant", "content": side}] for side in answers]
        rows.append(
            {"messages": sides[0]} if shape.objective == "instruction" else dict(zip(SIDES, sides, strict=True))
        )
    version = datasets.import_rows(lab, rows, name, {"kind": "random words"}, split=TRAIN).name
    settings = Training(
        max_steps=steps, per_device_batch_size=shape.rows, max_length=shape.length, eval_steps=steps, score_rows=0,
        validation_rows=1, gradient_checkpointing=shape.checkpointing,
    )  # fmt: skip
    return TrainingPlan(MODEL, (DatasetSpec(version),), shape.objective, shape.method, training=settings)


SIDES = ("chosen", "rejected")
PARTS: dict[str, Callable[[LabContext, argparse.Namespace], Any]] = {"reward": reward, "dpo": dpo, "cost": cost}


if __name__ == "__main__":
    raise SystemExit(main())
