"""The loop against TRL's SFTTrainer (decoder-only) and transformers' Trainer (encoder-decoder): time on the same rows.

`python -m benchmarks.training [--out FILE]`, for each benchmark model that is at hand. Sides go by turns in one
process, a round is all sides once. In a round each side reads the same rows once, with the same model, method, batch
size, optimiser (fused AdamW), rate, clipping and float32; both count the tokens that they read and learn, which must be
equal. No evaluation and no checkpoint. Measured from the first step to the last: seconds, and seconds of processor
time, which other work on the machine disturbs less; the first round of a small model is for warming up. Denormals are
flushed, one heap for both.

Rows: DialogSum as it is ("mixed", lengths vary), and of its longer rows the part that has one length ("equal").
Ours groups rows by length, which is its default. SFTTrainer has its defaults (no packing; no padding-free batches, for
which it needs flash attention; rows in random order) but for three: `completion_only_loss`, which it chooses by itself
for rows of text and not for encoded ones; activation checkpointing, off as in ours; float32 in place of bfloat16.
`--theirs shipped` turns checkpointing on again, `--theirs grouped` gives it batches grouped by length.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.support.bench_models import NAMES, SMOLLM2, STARTER, STORIES, at_hand
from genai_lab.glibc_heap import TUNABLES
from genai_lab.training import Architecture, DatasetSpec, Training, TrainingPlan
from genai_lab.training.examples import IGNORED, EncodedExample, TextExample
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.objective import EncodingContext
from genai_lab.training.objectives import OBJECTIVES

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "../shared/data/summarization/dialogsum_train.jsonl.gz"
WEIGHTS = ROOT / "genai_lab/starter/weights"
PROMPT = "Summarize the following conversation.\n\n{}\n\nSummary:"
RATE = 1e-5
VARIANTS = ("plain", "shipped", "grouped")


@dataclass(frozen=True)
class Case:
    """One line of the table; `length` bounds mixed rows, and is that of equal ones."""

    model: str
    method: str
    data: str
    length: int
    batch: int
    steps: int
    threads: int
    architecture: Architecture = "decoder-only"
    aim: float = 1.0
    warm_up: int = 1  # rounds that are not counted

    @property
    def folder(self) -> Path:
        return Path(self.model) if "/" in self.model else WEIGHTS / self.model

    @property
    def training(self) -> Training:
        return Training(
            max_steps=self.steps, per_device_batch_size=self.batch, max_length=self.length, max_target_length=96,
            eval_steps=10_000_000, learning_rate=RATE, lr_scheduler_type="constant", warmup_ratio=0.0,
        )  # fmt: skip

    def __str__(self) -> str:
        name = self.folder.name
        return f"{name}, {self.method}, {self.data} rows to {self.length}, batch {self.batch}, {self.threads} thread(s)"


@dataclass(frozen=True)
class Time:
    """Of one side in one round: seconds, seconds of processor time, tokens read and learned."""

    wall: float
    processor: float
    read: int
    learned: int


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
        environment = {**os.environ, "GLIBC_TUNABLES": TUNABLES}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.training", *sys.argv[1:]], environment)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--models", nargs="*", default=[], choices=NAMES)
    parser.add_argument("--only", default="", help="only the lines that contain this")
    parser.add_argument("--theirs", choices=VARIANTS, default="plain")
    options = parser.parse_args()
    if not DATA.is_file():
        print("The shared data are absent, so that nothing is measured.")
        if options.out:
            options.out.write_text("{}\n")
        return 0
    result: dict[str, Any] = {"theirs": options.theirs, "time": {}}
    for case in (case for case in cases(options) if options.only in str(case)):
        row = result["time"][str(case)] = compare(case, options.rounds, options.theirs)
        print(
            f"{case}: ours {row['ours']:,.0f} tokens/s, theirs {row['theirs']:,.0f}; ratio {row['ratio']}", flush=True
        )
    if not options.only:
        result["memory"] = flat()
        print("resident memory after each pass (MB): " + ", ".join(f"{item / 1e6:.0f}" for item in result["memory"]))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def cases(options: argparse.Namespace) -> list[Case]:
    folders, table = {name: str(folder) for name, folder in at_hand(options.models)}, []
    for threads in options.threads:
        for method in ("full", "lora"):
            if STORIES in folders:
                table.append(Case(folders[STORIES], method, "mixed", 512, 8, 5, threads))
            if STARTER in folders:
                table += [
                    Case(folders[STARTER], method, "equal", 256, 8, 8, threads),
                    Case(folders[STARTER], method, "mixed", 768, 8, 5, threads, aim=1.3, warm_up=0),
                ]
            if SMOLLM2 in folders:
                table += [
                    Case(folders[SMOLLM2], method, "equal", 128, 4, 2, threads, warm_up=0),
                    Case(folders[SMOLLM2], method, "mixed", 512, 4, 4, threads, aim=1.3, warm_up=0),
                ]
            table.append(Case("starter-seq2seq", method, "mixed", 512, 8, 8, threads, "encoder-decoder", 1.3))
    return table


def compare(case: Case, rounds: int, variant: str) -> dict[str, Any]:
    """Medians of tokens a second, and of the ratios (theirs by ours) of seconds and of processor time."""
    import torch

    torch.set_num_threads(case.threads)
    torch.set_flush_denormal(True)
    size, all_rows = case.batch * case.steps, rows_of(case)
    theirs_of = supervised if case.architecture == "decoder-only" else plain
    times: list[tuple[Time, Time]] = []
    for number in range(rounds + case.warm_up):
        start = number * size % max(1, len(all_rows) - size)
        rows = all_rows[start : start + size]
        if number % 2:
            theirs, own = theirs_of(case, rows, variant), ours(case, rows)
        else:
            own, theirs = ours(case, rows), theirs_of(case, rows, variant)
        if (own.read, own.learned) != (theirs.read, theirs.learned):
            raise SystemExit(f"The two sides did not read the same: {own}, {theirs}.")
        times.append((own, theirs))
    times = times[case.warm_up :]
    ratios = {name: [getattr(b, name) / getattr(a, name) for a, b in times] for name in ("wall", "processor")}
    return {
        "ours": statistics.median(own.read / own.wall for own, _ in times),
        "theirs": statistics.median(theirs.read / theirs.wall for _, theirs in times),
        "ratio": {
            name: [round(value, 3) for value in (statistics.median(items), min(items), max(items))]
            for name, items in ratios.items()
        },
        "read": [own.read for own, _ in times], "learned": [own.learned for own, _ in times], "aim": case.aim,
    }  # fmt: skip


def rows_of(case: Case) -> list[EncodedExample]:
    from genai_lab.training.loading import load_tokenizer

    with gzip.open(DATA, "rt") as stream:
        lines = [json.loads(line) for _, line in zip(range(4000), stream, strict=False)]
    texts = [TextExample(PROMPT.format(line["dialogue"]), line["summary"]) for line in lines]
    objective = OBJECTIVES.get("instruction")
    context = EncodingContext(load_tokenizer(case.folder), case.architecture, case.training, objective.settings())
    rows = objective.encode(texts, context)
    return [row for row in rows if row.length() == case.length] if case.data == "equal" else rows


class Stopwatch:
    """Counts what a trainer's batches hold and takes the time of its steps."""

    def __init__(self, trainer: Any, decoder: bool) -> None:
        from transformers import TrainerCallback
        from transformers.trainer_callback import PrinterCallback

        self.trainer, self.decoder = trainer, decoder
        self.collate, self.read, self.learned = trainer.data_collator, 0, 0
        trainer.data_collator = self
        marks: list[tuple[float, float]] = []

        class Marks(TrainerCallback):
            def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
                marks.append((time.perf_counter(), time.process_time()))

            def on_train_end(self, *args: Any, **kwargs: Any) -> None:
                marks.append((time.perf_counter(), time.process_time()))

        self.marks = marks
        trainer.pop_callback(PrinterCallback)
        trainer.add_callback(Marks())

    def __call__(self, rows: Any) -> Any:
        batch = self.collate(rows)
        learned = int((batch["labels"] != IGNORED).sum())
        self.learned += learned
        self.read += int(batch["attention_mask"].sum()) + (0 if self.decoder else learned)
        return batch

    def time(self) -> Time:
        self.trainer.train()
        (began, processor), (ended, processor_end) = self.marks
        return Time(ended - began, processor_end - processor, self.read, self.learned)


def ours(case: Case, rows: list[EncodedExample]) -> Time:
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy

    from genai_lab.training.trainers.tokens import TokenTrainer
    from genai_lab.training.training_loop import prepare_run

    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        loop = TokenTrainer(prepare_run(inputs_of(case, folder, rows), folder, folder / "out", Silent()))
        # Trainer evaluates and saves at the last step whatever the interval is.
        loop.args.eval_strategy, loop.args.save_strategy = IntervalStrategy.NO, SaveStrategy.NO
        return Stopwatch(loop, case.architecture == "decoder-only").time()


def inputs_of(case: Case, folder: Path, rows: list[EncodedExample]) -> TrainingInputs:
    plan = TrainingPlan(case.folder.name, (DatasetSpec("dialogsum"),), method=case.method, training=case.training)
    inputs = TrainingInputs(plan, case.folder, case.folder.name, case.architecture, case.steps, "cpu")
    inputs.write(folder, [rows], rows[:4])
    return TrainingInputs.read(folder)


def supervised(case: Case, rows: list[EncodedExample], variant: str) -> Time:
    """SFTTrainer on the same tokens."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    module, tokenizer = model_of(case)
    given = [
        {"input_ids": row.ids + row.target, "completion_mask": [0] * len(row.ids) + [1] * len(row.target)}
        for row in rows
    ]
    settings: dict[str, Any] = {"activation_checkpointing": variant == "shipped", "completion_only_loss": True}
    if variant == "grouped":
        settings["train_sampling_strategy"] = "group_by_length"
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(output_dir=folder, max_length=None, bf16=False, **settings, **_theirs(case))
        trainer = SFTTrainer(
            model=module, args=arguments, train_dataset=Dataset.from_list(given), processing_class=tokenizer
        )
        return Stopwatch(trainer, decoder=True).time()


def plain(case: Case, rows: list[EncodedExample], variant: str) -> Time:
    """Trainer with its defaults."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    module, tokenizer = model_of(case)
    given = [{"input_ids": row.ids, "attention_mask": [1] * len(row.ids), "labels": row.target} for row in rows]
    collate = DataCollatorForSeq2Seq(tokenizer, padding=True, label_pad_token_id=IGNORED)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, **_theirs(case))
        trainer = Trainer(model=module, args=arguments, train_dataset=given, data_collator=collate)  # type: ignore[arg-type]
        return Stopwatch(trainer, decoder=False).time()


def model_of(case: Case) -> tuple[Any, Any]:
    """Module and tokenizer, made ready for the method as ours is."""
    import torch

    from genai_lab.training.loading import load_module, load_tokenizer
    from genai_lab.training.methods import METHODS

    torch.manual_seed(0)
    method = METHODS.get(case.method)
    module = load_module(case.folder, case.architecture)
    return method.apply(module, case.architecture, method.settings(), case.steps), load_tokenizer(case.folder)


def _theirs(case: Case) -> dict[str, Any]:
    return {
        "max_steps": case.steps, "per_device_train_batch_size": case.batch, "learning_rate": RATE,
        "lr_scheduler_type": "constant", "weight_decay": 0.01, "use_cpu": True, "report_to": [], "disable_tqdm": True,
        "save_strategy": "no", "seed": 0, "log_level": "error",
    }  # fmt: skip


def flat() -> list[float]:
    """Resident bytes at the end of each of five passes over 96 rows."""
    from genai_lab.training.trainers.tokens import TokenTrainer
    from genai_lab.training.training_loop import prepare_run

    training = Training(
        max_steps=60, per_device_batch_size=8, max_length=256, max_target_length=64, eval_steps=12, validation_rows=4
    )
    case = Case("starter-seq2seq", "full", "mixed", 256, 8, 60, 1, "encoder-decoder")
    tell, rows = Silent(), rows_of(case)[:96]
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        plan = TrainingPlan(case.model, (DatasetSpec("dialogsum"),), method="full", training=training)
        inputs = TrainingInputs(plan, case.folder, case.model, case.architecture, 60, "cpu")
        inputs.write(folder, [rows], rows[:4])
        TokenTrainer(prepare_run(TrainingInputs.read(folder), folder, folder / "out", tell)).train()
    stored = dict(tell.memory)
    return [stored[step] for step in (12, 24, 36, 48, 60)]


if __name__ == "__main__":
    raise SystemExit(main())
