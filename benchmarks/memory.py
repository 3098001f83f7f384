"""The peak memory of fine-tuning the shipped starters on the CPU: what a plan says and what a process takes.

`python -m benchmarks.memory --out FILE`. Each case trains four steps in a process of its own (float32, batches with
padding); measured is the highest resident memory less that before the model is loaded. Some cases are run once more
with glibc's allocator as it is, for the times.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genai_lab.glibc_heap import TUNABLES
from genai_lab.training.memory import MemoryPlan, batch_of, learned_token_loss, plan

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "genai_lab" / "starter" / "weights"
STEPS, TARGET = 4, 0.2
FAMILIES = {"causal": "decoder-only", "seq2seq": "encoder-decoder", "toxicity": "classifier"}


@dataclass(frozen=True)
class Case:
    """One run; `model` is the name of a starter less its beginning, `one_heap` whether glibc is told
    to use one heap."""

    model: str
    method: str
    rows: int
    length: int
    target: int = 0
    checkpointing: bool = False
    autocast: str | None = None
    one_heap: bool = True
    steps: int = STEPS

    def __str__(self) -> str:
        size = f"{self.rows} x {self.length}" + (f" to {self.target}" if self.target else "")
        options = (", checkpointing" if self.checkpointing else "") + (f", {self.autocast}" if self.autocast else "")
        return f"{self.model}, {self.method}, {size}{options}"


CASES = (
    Case("causal", "full", 16, 256),
    Case("causal", "full", 32, 128),
    Case("causal", "full", 6, 768),
    Case("causal", "lora", 24, 256),
    Case("causal", "lora", 6, 1000),
    Case("causal", "prompt", 24, 256),
    Case("causal", "prompt", 64, 96),
    Case("causal", "prefix", 24, 256),
    Case("causal", "full", 64, 256, checkpointing=True),
    Case("causal", "full", 24, 256, autocast="bfloat16"),
    Case("seq2seq", "full", 16, 256, 64),
    Case("seq2seq", "full", 32, 96, 96),
    Case("seq2seq", "lora", 16, 256, 64),
    Case("seq2seq", "lora", 5, 512, 256),
    Case("seq2seq", "prompt", 20, 256, 64),
    Case("seq2seq", "prompt", 32, 96, 96),
    Case("toxicity", "full", 32, 256),
    Case("toxicity", "full", 64, 128),
    Case("toxicity", "lora", 32, 256),
    Case("toxicity", "lora", 8, 512),
    Case("causal", "full", 16, 256, one_heap=False),
    Case("causal", "full", 64, 256, checkpointing=True, one_heap=False),
    Case("seq2seq", "full", 16, 256, 64, one_heap=False),
    Case("toxicity", "lora", 32, 256, one_heap=False),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(train(Case(**options.case))))
        return 0
    table, stored = [], []
    print(f"{'case':44} {'predicted':>10} {'measured':>10} {'ratio':>6}   MB; ratio within {TARGET:.0%} of 1")
    for case in CASES:
        predicted, measured = predict(case).peak, measure(case)
        row = {"case": str(case), "predicted": predicted, "ratio": round(predicted / measured["peak"], 3), **measured}
        (table if case.one_heap else stored).append(row)
        name = str(case) + ("" if case.one_heap else ", glibc")
        print(f"{name:44} {predicted / 1e6:10.1f} {measured['peak'] / 1e6:10.1f} {row['ratio']:6.3f}", flush=True)
    if options.out:
        figures = {"steps": STEPS, "target": TARGET, "figures": table, "left_to_glibc": stored}
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if all(abs(row["ratio"] - 1) <= TARGET for row in table) else 1


def predict(case: Case) -> MemoryPlan:
    return plan(
        lambda: module(case, weights=False),
        lambda: dict(batch_of(FAMILIES[case.model], case.rows, case.length, case.target)),
        gradient_checkpointing=case.checkpointing,
        autocast=case.autocast,
    )


def measure(case: Case) -> dict[str, Any]:
    """{"peak": bytes, "seconds": of the median step}, from a process of its own."""
    arguments = [sys.executable, "-m", "benchmarks.memory", "--case", json.dumps(asdict(case))]
    env = {**os.environ, **({"GLIBC_TUNABLES": TUNABLES} if case.one_heap else {})}
    process = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    if process.returncode:
        raise SystemExit(f"{case} ended with code {process.returncode}: {process.stderr[-2000:]}")
    return json.loads(process.stdout.splitlines()[-1])


def train(case: Case) -> dict[str, Any]:
    """Trains some steps in this process; what `measure` returns."""
    import peft  # noqa: F401
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.set_flush_denormal(True)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    model = module(case, weights=True).train()
    if case.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4)
    context = torch.autocast("cpu", getattr(torch, case.autocast)) if case.autocast else nullcontext()
    times = []
    for _ in range(case.steps):
        began = time.perf_counter()
        batch = dict(batch_of(FAMILIES[case.model], case.rows, case.length, case.target))
        for name in ("input_ids", "decoder_input_ids"):
            if name in batch:
                batch[name] = torch.randint_like(batch[name], 5, model.config.vocab_size)
        batch["attention_mask"][0, -(case.length // 4) :] = 0
        with context:
            loss = learned_token_loss(model, batch)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - began)
    return {"peak": resident("VmHWM") - before, "seconds": round(sorted(times)[case.steps // 2], 2)}


def module(case: Case, *, weights: bool) -> Any:
    """The starter with the case's adapter, with its weights or made from its config."""
    import peft
    import transformers

    kinds = {
        "causal": (transformers.AutoModelForCausalLM, "CAUSAL_LM"),
        "seq2seq": (transformers.AutoModelForSeq2SeqLM, "SEQ_2_SEQ_LM"),
        "toxicity": (transformers.AutoModelForSequenceClassification, "SEQ_CLS"),
    }
    kind, task = kinds[case.model]
    folder = WEIGHTS / f"starter-{case.model}"
    model = (
        kind.from_pretrained(folder) if weights else kind.from_config(transformers.AutoConfig.from_pretrained(folder))
    )
    adapters = {
        "lora": lambda: peft.LoraConfig(task_type=task, r=8),
        "prompt": lambda: peft.PromptTuningConfig(task_type=task, num_virtual_tokens=20),
        "prefix": lambda: peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=20),
    }
    return model if case.method == "full" else peft.get_peft_model(model, adapters[case.method]())


def resident(field: str) -> int:
    """Bytes: VmRSS, or VmHWM, the highest since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    raise SystemExit(main())
