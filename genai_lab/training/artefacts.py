"""The result of a run: a whole model or an adapter folder that transformers and PEFT load without the lab."""

import json
import shutil
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError
from genai_lab.files import atomic_folder
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.lab_trainer import step_of
from genai_lab.training.loading import load_module, load_tokenizer
from genai_lab.training.training_loop import best_checkpoint, load_with_method, resume

PROBES = ("The quick brown fox", "Once upon a time there was", "1 2 3", "Why?")
CLOSE = 1e-3


def export_best(inputs: TrainingInputs, out: Path, folder: Path) -> int:
    """Writes the artefact of the best checkpoint in `out` to `folder`, whole or not at all; returns its step."""
    best = best_checkpoint(out)
    if best is None:
        raise LabError("The run has no checkpoint yet, so there is nothing to keep; let it continue.")
    module = load_checkpoint(inputs, best)
    _enable_cache(module)
    inputs.objective.finish(module, inputs)
    with atomic_folder(folder) as draft:
        inputs.method.export(module, draft)
        if (draft / "config.json").is_file():
            load_tokenizer(inputs.base).save_pretrained(draft)
            for name in ("generation_config.json", "chat_template.jinja"):
                if (inputs.base / name).is_file() and not (draft / name).is_file():
                    shutil.copy(inputs.base / name, draft / name)
        else:
            _name_base(draft, inputs)
    return step_of(best)


def merge(base: Path, adapter: Path, architecture: Any, folder: Path) -> float:
    """Writes base and adapter as one model; returns the largest difference of their logits on PROBES.

    Raises LabError where the two do not say the same, or where the adapter cannot be merged.
    """
    import torch
    from peft import PeftModel

    tokenizer = load_tokenizer(base)
    module = PeftModel.from_pretrained(load_module(base, architecture), adapter, is_trainable=False).eval()
    before = [_logits(module, tokenizer, text) for text in PROBES]
    merged = module.merge_and_unload(safe_merge=True).eval()
    after = [_logits(merged, tokenizer, text) for text in PROBES]
    difference = max(float((a - b).abs().max()) for a, b in zip(before, after, strict=True))
    same = all(torch.equal(a.argmax(-1), b.argmax(-1)) for a, b in zip(before, after, strict=True))
    if difference > CLOSE or not same:
        raise LabError(
            f"Merged, the model does not say the same (logits differ by {difference:.2g}); keep the adapter."
        )
    _enable_cache(merged)
    with atomic_folder(folder) as draft:
        merged.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
    return difference


def load_checkpoint(inputs: TrainingInputs, checkpoint: Path) -> Any:
    """The module with its method as it was at that checkpoint."""
    module = load_with_method(inputs)
    resume(module, inputs.method, checkpoint)
    return module


def _enable_cache(module: Any) -> None:
    """The saved configuration is for generation."""
    module.config.use_cache = True


def _name_base(folder: Path, inputs: TrainingInputs) -> None:
    """An adapter names its base as the catalogue does, and no folder of this machine."""
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = inputs.name
    if config.get("tokenizer_name_or_path"):
        config["tokenizer_name_or_path"] = inputs.name
    path.write_text(json.dumps(config, indent=2))


def _logits(module: Any, tokenizer: Any, text: str) -> Any:
    import torch

    inputs = {"input_ids": torch.tensor([tokenizer(text)["input_ids"]])}
    if module.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    with torch.no_grad():
        return module(**inputs).logits
