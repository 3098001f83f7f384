"""Builds starter models from their seeds: tokenizer, training, safetensors."""

import time
from pathlib import Path

from genai_lab.starter.recipes import RECIPES
from genai_lab.starter.training import Progress, train

NAMES = ("starter-toxicity", "starter-causal", "starter-seq2seq")


def build(
    name: str, out: Path, work: Path, *, seed: int = 0, scale: float = 1.0, progress: Progress | None = None
) -> Path:
    """Trains the model, resuming from `work/name`, and saves it to `out/name`; raises UnknownName."""
    recipe = RECIPES.get(name)
    folder = work / name
    tokenizer = _tokenizer(name, folder, seed)
    model = train(recipe, tokenizer, folder, seed=seed, scale=scale, progress=progress)
    target = out / name
    if hasattr(model, "pretraining_head"):
        del model.pretraining_head
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    (target / "build.json").write_text(_figures(folder, seed, scale))
    if progress:
        progress(f"{name}: saved to {target}")
    return target


def _tokenizer(name: str, folder: Path, seed: int):  # type: ignore[no-untyped-def]
    from transformers import AutoTokenizer

    saved = folder / "tokenizer"
    if not saved.exists():
        RECIPES.get(name).tokenizer(seed).save_pretrained(saved)
    return AutoTokenizer.from_pretrained(saved)


def _figures(folder: Path, seed: int, scale: float) -> str:
    import json

    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    built = {"seed": seed, "scale": scale, "seconds": rows[-1]["seconds"], "steps": rows[-1]["step"]}
    return json.dumps(built | {"date": time.strftime("%Y-%m-%d"), "log": rows}, indent=1) + "\n"
