"""The base of a run as a module with the right head, and its tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError, ModelError
from genai_lab.models.loading import READING
from genai_lab.training import Architecture
from genai_lab.training.objectives import Head

SAFE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


def class_of(architecture: Architecture, head: Head) -> Any:
    """transformers' class that loads such a base."""
    import transformers

    if head == "masked":
        return transformers.AutoModelForMaskedLM
    if head in ("classify", "reward"):
        return transformers.AutoModelForSequenceClassification
    kinds = {
        "decoder-only": transformers.AutoModelForCausalLM,
        "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
    }
    return kinds[architecture]


def head_settings(head: Head, labels: Sequence[str]) -> dict[str, Any]:
    """What a classifier's configuration is told; a reward model is one with a single output."""
    if head == "reward":
        names: dict[str, Any] = {"id2label": {0: "reward"}, "label2id": {"reward": 0}}
        return {**names, "problem_type": "regression", "ignore_mismatched_sizes": True}
    if head != "classify":
        return {}
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: place for place, label in enumerate(labels)},
        "problem_type": "single_label_classification",
        "ignore_mismatched_sizes": True,
    }


def load_module(folder: Path, architecture: Architecture, head: Head, labels: Sequence[str] = (), **more: Any) -> Any:
    """The base in float32; a head that the base lacks is made anew. Raises ModelError in one sentence."""
    import torch
    from transformers.utils import logging as talk

    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        with READING:
            module = class_of(architecture, head).from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **SAFE, **head_settings(head, labels), **more
            )
    except LabError:
        raise
    except Exception as problem:
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ModelError(f"The base in {folder.name} cannot be loaded: {lines[0].rstrip('.:')[:300]}.") from problem
    module.config.use_cache = False
    if head == "reward":
        # The score is read at the last token that is no padding.
        module.config.pad_token_id = load_tokenizer(folder).pad_token_id
    return module


def load_tokenizer(folder: Path) -> Any:
    """With a pad token, which some bases lack."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, **SAFE)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def ends_of(module: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens at which the model's completions end."""
    ends = module.generation_config.eos_token_id if getattr(module, "generation_config", None) else None
    every = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id}
    return frozenset(token for token in every if token is not None)


def start_of(module_config: Any) -> int | None:
    """The token that a decoder begins with."""
    start = getattr(module_config, "decoder_start_token_id", None)
    return start if start is not None else getattr(module_config, "bos_token_id", None)
