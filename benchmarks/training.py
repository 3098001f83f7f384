"""The loop against transformers' Trainer and TRL's SFTTrainer: tokens a second on the same model, data, batch; memory.

`python -m benchmarks.training --out FILE`. DialogSum, batch 8, with starter-seq2seq against Trainer and with
starter-causal against SFTTrainer (which takes decoder-only models): ours with rows of similar length in a batch, the
other side with its own random order and padding to the longest; no evaluation and no checkpoint in either. Segments by
turns in one process, denormal numbers flushed and one heap for both; tokens are those that are not padding.
Memory: resident after each of five passes over a small set.
"""

import argparse
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.glibc_heap import TUNABLES
from genai_lab.training import Architecture, DatasetSpec, Training, TrainingPlan
from genai_lab.training.examples import IGNORED, EncodedExample, TextExample
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.objective import EncodingContext
from genai_lab.training.objectives import OBJECTIVES

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "../shared/data/summarization/dialogsum_train.jsonl.gz"
WEIGHTS = ROOT / "genai_lab/starter/weights"
MODELS: dict[Architecture, str] = {"encoder-decoder": "starter-seq2seq", "decoder-only": "starter-causal"}
PROMPT = "Summarize the following conversation.\n\n{}\n\nSummary:"
SEQ2SEQ: Architecture = "encoder-decoder"
AIM = 1.3


class Silent:
    """A reporter that remembers the memory curve alone."""

    def __init__(self) -> None:
        self.memory: list[tuple[int, float]] = []

    def progress(self, *values: Any) -> None:
        return

    def metric(self, name: str, step: int, value: float) -> None:
        if name == "memory":
            self.memory.append((step, value))

    def record(self, item: dict[str, Any]) -> None:
        return


def main() -> int:
    if os.environ.get("GLIBC_TUNABLES") != TUNABLES:
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.training", *sys.argv[1:]], _environment())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rows", type=int, default=3000)
    options = parser.parse_args()
    if not DATA.is_file():
        print("The shared data are absent, so that nothing is measured.")
        if options.out:
            options.out.write_text("{}\n")
        return 0
    result = {"throughput": throughput(options), "memory": flat(options)}
    for name, row in result["throughput"].items():
        print(
            f"{name:16} ours {row['ours']:8,.0f} tokens/s, theirs {row['theirs']:8,.0f}, ratio {row['ratio']:.2f} "
            f"({row['lowest']:.2f} to {row['highest']:.2f}; aim {AIM})",
            flush=True,
        )
    print("resident memory after each pass (MB): " + ", ".join(f"{item / 1e6:.0f}" for item in result["memory"]))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _environment() -> dict[str, str]:
    return {**os.environ, "GLIBC_TUNABLES": TUNABLES}


def items(rows: int, training: Training, architecture: Architecture) -> list[EncodedExample]:
    from genai_lab.training.loading import load_tokenizer

    with gzip.open(DATA, "rt") as stream:
        lines = [json.loads(line) for _, line in zip(range(rows), stream, strict=False)]
    texts = [TextExample(PROMPT.format(line["dialogue"]), line["summary"]) for line in lines]
    tokenizer = load_tokenizer(WEIGHTS / MODELS[architecture])
    objective = OBJECTIVES.get("instruction")
    return objective.encode(texts, EncodingContext(tokenizer, architecture, training, objective.settings()))


def work_of(
    method: str,
    steps: int,
    training: Training,
    folder: Path,
    rows: Sequence[EncodedExample],
    architecture: Architecture,
) -> TrainingInputs:
    name = MODELS[architecture]
    plan = TrainingPlan(name, (DatasetSpec("dialogsum"),), method=method, training=training)
    work = TrainingInputs(plan, WEIGHTS / name, name, architecture, steps, "cpu")
    work.write(folder, [rows], rows[:4])
    return TrainingInputs.read(folder)


def throughput(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    torch.set_flush_denormal(True)
    results = {}
    for rival, theirs in RIVALS.items():
        for method in ("full", "lora"):
            pairs = []
            for number in range(options.rounds + 1):
                sides = (ours, theirs) if number % 2 else (theirs, ours)
                result = {side: side(method, ARCHITECTURE[rival], options, number) for side in sides}
                pairs.append((result[theirs], result[ours]))
            other, own_result = zip(*pairs[1:], strict=True)  # the first is for warming up
            ratios = [b / a for a, b in zip(other, own_result, strict=True)]
            results[f"{rival} {method}"] = {
                "ours": statistics.median(own_result), "theirs": statistics.median(other),
                "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios), "aim": AIM,
            }  # fmt: skip
    return results


def settings(options: argparse.Namespace, seed: int) -> Training:
    return Training(
        max_steps=options.steps, per_device_batch_size=8, max_length=512, max_target_length=96,
        eval_steps=10_000_000, seed=seed,
        learning_rate=1e-4,
    )  # fmt: skip


def ours(method: str, architecture: Architecture, options: argparse.Namespace, seed: int) -> float:
    """Tokens a second of our loop."""
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy

    from genai_lab.training.trainers.tokens import TokenTrainer
    from genai_lab.training.training_loop import prepare_run

    training = settings(options, seed)
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        rows = items(options.rows, training, architecture)
        work = work_of(method, options.steps, training, folder, rows, architecture)
        loop = TokenTrainer(prepare_run(work, folder, folder / "out", Silent()))
        # Trainer evaluates and saves at the last step whatever the interval is.
        loop.args.eval_strategy, loop.args.save_strategy = IntervalStrategy.NO, SaveStrategy.NO
        began = time.perf_counter()
        loop.train()
        return loop.tokens / (time.perf_counter() - began)


def plain(method: str, architecture: Architecture, options: argparse.Namespace, seed: int) -> float:
    """Tokens a second of Trainer with its defaults."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    module, tokenizer = model_of(method, architecture, options, seed)
    rows = [
        {"input_ids": item.ids, "attention_mask": [1] * len(item.ids), "labels": item.target}
        for item in items(options.rows, settings(options, seed), architecture)
    ]
    count = Counted(DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=IGNORED))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, **_theirs(options, seed))
        return count.speed(Trainer(model=module, args=arguments, train_dataset=rows, data_collator=count))  # type: ignore[arg-type]


def supervised(method: str, architecture: Architecture, options: argparse.Namespace, seed: int) -> float:
    """Tokens a second of SFTTrainer with its defaults, on the same tokens; the loss is on the completion alone."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    module, tokenizer = model_of(method, architecture, options, seed)
    rows = [
        {"input_ids": item.ids + item.target, "completion_mask": [0] * len(item.ids) + [1] * len(item.target)}
        for item in items(options.rows, settings(options, seed), architecture)
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(output_dir=folder, max_length=None, bf16=False, **_theirs(options, seed))
        trainer = SFTTrainer(
            model=module, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
        )
        count = trainer.data_collator = Counted(trainer.data_collator)
        return count.speed(trainer)


class Counted:
    """A collator that counts the tokens of its batches."""

    def __init__(self, collate: Any) -> None:
        self.collate, self.tokens = collate, 0

    def __call__(self, batch: list[dict[str, Any]]) -> Any:
        # A decoder's labels are its own tokens once more.
        self.tokens += sum(
            len(item["input_ids"]) + (0 if "completion_mask" in item else len(item.get("labels", ()))) for item in batch
        )
        return self.collate(batch)

    def speed(self, trainer: Any) -> float:
        """Trains; tokens a second."""
        from transformers.trainer_callback import PrinterCallback

        trainer.pop_callback(PrinterCallback)
        began = time.perf_counter()
        trainer.train()
        return self.tokens / (time.perf_counter() - began)


def model_of(method: str, architecture: Architecture, options: argparse.Namespace, seed: int) -> tuple[Any, Any]:
    """Module and tokenizer, made ready for the method as ours is."""
    import torch

    from genai_lab.training.loading import load_module, load_tokenizer
    from genai_lab.training.methods import METHODS

    torch.manual_seed(seed)
    index = WEIGHTS / MODELS[architecture]
    method_object = METHODS.get(method)
    module = method_object.apply(
        load_module(index, architecture), architecture, method_object.settings(), options.steps
    )
    return module, load_tokenizer(index)


def _theirs(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    return {
        "max_steps": options.steps, "per_device_train_batch_size": 8, "learning_rate": 1e-4, "use_cpu": True,
        "report_to": [], "disable_tqdm": True, "save_strategy": "no", "seed": seed, "log_level": "error",
    }  # fmt: skip


RIVALS = {"Trainer": plain, "SFTTrainer": supervised}
ARCHITECTURE: dict[str, Architecture] = {"Trainer": "encoder-decoder", "SFTTrainer": "decoder-only"}


def flat(options: argparse.Namespace) -> list[float]:
    """Resident bytes at the end of each of five passes over 96 rows."""
    from genai_lab.training.trainers.tokens import TokenTrainer
    from genai_lab.training.training_loop import prepare_run

    training = Training(
        max_steps=60, per_device_batch_size=8, max_length=256, max_target_length=64, eval_steps=12, validation_rows=4
    )
    tell = Silent()
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        work = work_of("full", 60, training, folder, items(96, training, SEQ2SEQ), SEQ2SEQ)
        TokenTrainer(prepare_run(work, folder, folder / "out", tell)).train()
    stored = dict(tell.memory)
    return [stored[step] for step in (12, 24, 36, 48, 60)]


if __name__ == "__main__":
    raise SystemExit(main())
