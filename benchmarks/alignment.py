"""What alignment by reinforcement learning gives on the shipped starters, and what its rollouts cost.

`python -m benchmarks.alignment --part policies|rollouts|memory --out FILE`.

- policies: requests that ask for a rude reply, rewarded by the log-odds of starter-toxicity that the reply is not
  toxic; PPO, RLOO and GRPO with LoRA and a KL target of 6 nats, several seeds; 64 held-out prompts before and after
  with the same draws; the truth about helpful and rude replies beside it. Intervals are of 95 %: Wilson's for shares,
  bootstrap for means.
- rollouts: completions of 64 prompts by our sampler and by a loop over transformers' `generate`, by turns.
- memory: the most that a step of RLOO and one of DPO take, each in a process of its own; decoder-only bases, since DPO
  takes no others.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai_lab.alignment.records import EVALUATIONS, RolloutBatch, rollout_path
from genai_lab.evaluation.sample import Sample
from genai_lab.evaluation.statistics import compare, interval, wilson
from genai_lab.settings import read_settings
from genai_lab.starter.tasks.reply import Reply
from genai_lab.training import Architecture, DatasetSpec, Training, TrainingPlan
from genai_lab.training.examples import TextExample
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import load_tokenizer
from genai_lab.training.methods import METHODS
from genai_lab.training.objective import EncodingContext
from genai_lab.training.objectives import OBJECTIVES

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "genai_lab" / "starter" / "weights"
ARCHITECTURES: dict[str, Architecture] = {"starter-seq2seq": "encoder-decoder", "starter-causal": "decoder-only"}
REWARDS = ("classifier:starter-toxicity", "0 * helpful_reply", "0 * helpful_reply truth=rude")
BATCHES = {"ppo": (32, 1), "rloo": (8, 4), "grpo": (8, 4)}  # prompts and completions of each in a step
STEPS, HELD = 30, 64


@dataclass(frozen=True)
class Case:
    """One run: which base by which objective, on what seed."""

    base: str
    objective: str
    seed: int
    steps: int = STEPS
    settings: dict[str, Any] = field(default_factory=dict)

    def plan(self) -> TrainingPlan:
        prompts, completions = BATCHES[self.objective]
        own = {"rewards": REWARDS, "max_completion_length": 22, "num_generations": completions}
        own |= {"target_kl": 6.0} | self.settings
        training = Training(
            max_steps=self.steps, per_device_batch_size=prompts, seed=self.seed, validation_rows=HELD,
            lr_scheduler_type="constant", warmup_ratio=0.0, weight_decay=0.0, eval_steps=self.steps,
        )  # fmt: skip
        data = (DatasetSpec("rude-requests"),)
        return TrainingPlan(self.base, data, self.objective, "lora", objective_settings=own, training=training)


class Silent:
    """A reporter that keeps the curves."""

    def __init__(self) -> None:
        self.metrics: dict[str, list[tuple[int, float]]] = {}

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        return

    def metric(self, name: str, step: int, value: float) -> None:
        self.metrics.setdefault(name, []).append((step, value))

    def record(self, item: dict[str, Any]) -> None:
        if "note" in item:
            print(f"  {item['note']}", flush=True)


def rude_requests(split: Any, count: int, seed: int) -> list[TextExample]:
    rng, rows = random.Random(seed), []
    while len(rows) < count:
        example = Reply().draw(rng, split)
        if example.labels["attribute"] == "rude":
            rows.append(TextExample(example.prompt, row=len(rows)))
    return rows


def write_run(case: Case, folder: Path) -> TrainingInputs:
    """The run's inputs; every seed has the same held-out prompts and its own order of the others."""
    plan, objective, base = case.plan(), OBJECTIVES.get(case.objective), WEIGHTS / case.base
    architecture = ARCHITECTURES[case.base]
    settings: Any = read_settings(objective.settings, plan.objective_settings)
    context = EncodingContext(load_tokenizer(base), architecture, plan.training, settings)
    train = objective.encode(rude_requests("train", 1000, 0), context)
    held = objective.encode(rude_requests("test", HELD, 1), context)
    inputs = TrainingInputs(
        plan, base, case.base, architecture, case.steps, "cpu",
        default_rate=objective.learning_rate(METHODS.get("lora"), small=True),
        models={"reward": WEIGHTS / "starter-toxicity"},
    )  # fmt: skip
    inputs.write(folder, [train], held)
    return TrainingInputs.read(folder)


def run(case: Case, folder: Path) -> dict[str, Any]:
    """Trains; what the held-out completions were worth before and after."""
    from genai_lab.training.training_loop import train

    inputs, reporter = write_run(case, folder), Silent()
    began, used = time.perf_counter(), time.process_time()
    outcome = train(inputs, folder, folder / "out", reporter)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    before, after = (
        RolloutBatch.read(rollout_path(folder / "out" / EVALUATIONS, step)) for step in (0, outcome["steps"])
    )
    return {
        "base": case.base,
        "objective": case.objective,
        "seed": case.seed,
        "steps": case.steps,
        "seconds": seconds,
        "processor seconds": cpu,
        "before": _figures(before),
        "after": _figures(after),
        "score p": compare(Sample(before.scores), Sample(after.scores), resamples=20_000).p_randomisation,
        "phases": {name: sum(v for _, v in points) for name, points in reporter.metrics.items() if "seconds" in name},
        "examples": [after.texts[index] for index in range(3)],
    }


def _figures(batch: RolloutBatch) -> dict[str, Any]:
    toxicity = batch.parts[:, batch.labels.index("classifier starter-toxicity")]
    toxic = toxicity < 0
    score, kl = interval(Sample(batch.scores)), interval(Sample(batch.kl))
    return {
        "toxic": [float(toxic.mean()), *wilson(float(toxic.mean()), len(batch))],
        "rude": float(batch.parts[:, batch.labels.index("helpful reply truth=rude")].mean()),
        "helpful": float(batch.parts[:, batch.labels.index("helpful reply")].mean()),
        "score": [score.value, score.low, score.high],
        "KL": [kl.value, kl.low, kl.high],
        "ended": float(batch.ended.mean()),
        "length": float(batch.lengths.mean()),
        "unique": len(set(batch.texts)) / len(batch),
        "n": len(batch),
    }


def policies(options: argparse.Namespace) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = json.loads(options.out.read_text()) if options.out and options.out.is_file() else []
    ended = {(row["base"], row["objective"], row["seed"]) for row in results}
    print(
        "base | objective | seed | toxic before -> after | rude by the truth | helpful | score | KL | ended | s, CPU s"
    )
    for base in options.bases.split(","):
        for seed in range(options.seeds):
            for objective in options.objectives.split(","):
                if (base, objective, seed) in ended:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    row = run(Case(base, objective, seed), Path(folder))
                print(_line(row), flush=True)
                results.append(row)
                if options.out:
                    options.out.write_text(json.dumps(results, indent=1) + "\n")
    return results


def _line(row: dict[str, Any]) -> str:
    before, after = row["before"], row["after"]
    share = "{:.2f} -> {:.2f} ({:.2f} to {:.2f})".format(before["toxic"][0], *after["toxic"])
    return (
        f"{row['base']} | {row['objective']} | {row['seed']} | {share} | {before['rude']:.2f} -> {after['rude']:.2f} | "
        f"{before['helpful']:.2f} -> {after['helpful']:.2f} | {before['score'][0]:.1f} -> {after['score'][0]:.1f} "
        f"(p = {row['score p']:.2g}) | {after['KL'][0]:.1f} ({after['KL'][1]:.1f} to {after['KL'][2]:.1f}) | "
        f"{after['ended']:.2f} | {row['seconds']:.0f}, {row['processor seconds']:.0f}"
    )


def rollouts(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Completions of 64 prompts: ours at once, `generate` one prompt after the other."""
    results = []
    for base in options.bases.split(","):
        speeds = _rollout_speeds(base, options.rounds)
        ratios = [ours / theirs for ours, theirs in zip(speeds["ours"], speeds["generate"], strict=True)]
        row = {"base": base, **{side: statistics.median(values) for side, values in speeds.items()}}
        row |= {"ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios), "rounds": options.rounds}
        print(
            f"{base}: ours {row['ours']:.0f}, generate {row['generate']:.0f} tokens per second of the processor, ratio "
            f"{row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f}, {options.rounds} rounds)", flush=True,
        )  # fmt: skip
        results.append(row)
    return results


def _rollout_speeds(base: str, rounds: int) -> dict[str, list[float]]:
    """Tokens per second of the processor on one thread, of each side in each round."""
    import torch

    from genai_lab.alignment.rollouts import Sampling, generator, network_of, sample
    from genai_lab.training.loading import ends_of, start_of
    from genai_lab.training.training_loop import load_with_method

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        inputs = write_run(Case(base, "rloo", 0), Path(name))
        module, tokenizer = load_with_method(inputs).eval(), load_tokenizer(inputs.base)
        prompts = [row.ids for row in inputs.examples(Path(name))[1]]
    length, ends, start = 22, ends_of(module, tokenizer), start_of(module.config)
    network = network_of(module)

    def ours() -> int:
        sources = [generator(0, 1, row) for row in range(len(prompts))]
        written = sample(network, prompts, sources, Sampling(length), ends, start)
        return sum(len(completion.ids) for completion in written)

    def theirs() -> int:
        count = 0
        for ids in prompts:
            prompt = torch.tensor([ids])
            out = module.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=0,
                max_new_tokens=length, use_cache=True, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
            count += out.shape[1] - (1 if inputs.architecture == "encoder-decoder" else len(ids))
        return count

    speeds: dict[str, list[float]] = {"ours": [], "generate": []}
    for turn in range(1 + rounds):
        for side, write in (("ours", ours), ("generate", theirs)):
            used = time.process_time()
            tokens = write()
            if turn:
                speeds[side].append(tokens / (time.process_time() - used))
    return speeds


def memory(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Peaks of processes that train RLOO and DPO on as many sequences of about the same length."""
    results = []
    for base in options.bases.split(","):
        if ARCHITECTURES[base] != "decoder-only":
            continue
        row: dict[str, Any] = {"base": base}
        for side in ("rloo", "dpo"):
            command = [sys.executable, "-m", "benchmarks.alignment", "--part", "peak", "--bases", base]
            command += ["--objectives", side]
            process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            row[side] = int(process.stdout.splitlines()[-1])
        row["ratio"] = row["rloo"] / row["dpo"]
        sizes = f"RLOO {row['rloo'] / 1e6:.0f} MB, DPO {row['dpo'] / 1e6:.0f} MB"
        print(f"{base}: {sizes} beside the process before, ratio {row['ratio']:.2f}", flush=True)
        results.append(row)
    return results


def peak(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The most memory beside the process before, in bytes: three steps of 16 sequences in a forward pass."""
    from genai_lab.training.training_loop import train

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.objectives == "dpo":
            inputs = _write_pairs(options.bases, folder)
        else:
            inputs = write_run(Case(options.bases, options.objectives, 0, steps=3), folder)
        outcome = train(inputs, folder, folder / "out", Silent())
    print(outcome["peak"] - outcome["process"])
    return []


def _write_pairs(base: str, folder: Path) -> TrainingInputs:
    """DPO on pairs of the same prompts: replies of about the length that a policy writes."""
    from genai_lab.training.examples import TextPair

    objective, architecture = OBJECTIVES.get("dpo"), ARCHITECTURES[base]
    training = Training(max_steps=3, per_device_batch_size=8, validation_rows=8, eval_steps=3)
    plan = TrainingPlan(base, (DatasetSpec("rude-requests"),), "dpo", "lora", training=training)
    context = EncodingContext(load_tokenizer(WEIGHTS / base), architecture, training, objective.settings())
    texts = rude_requests("train", 200, 0)
    pairs = [
        TextPair(text.prompt, "Of course! Take the radio. It is next to the door, and I do not need it today.",
                 "Keep your ugly face away from the station. Nobody likes you, you stupid moron.", row=text.row)
        for text in texts
    ]  # fmt: skip
    encoded = objective.encode(pairs, context)
    inputs = TrainingInputs(plan, WEIGHTS / base, base, architecture, 3, "cpu", default_rate=1e-4)
    inputs.write(folder, [encoded[8:]], encoded[:8])
    return TrainingInputs.read(folder)


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "policies": policies,
    "rollouts": rollouts,
    "memory": memory,
    "peak": peak,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, default="rollouts")
    parser.add_argument("--out", type=Path, help="results; runs that stand in it already are not made again")
    parser.add_argument("--bases", default=",".join(ARCHITECTURES), help="with commas between them")
    parser.add_argument("--objectives", default=",".join(BATCHES), help="with commas between them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    results = PARTS[options.part](options)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
