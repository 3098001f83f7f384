"""The base of a run as a module of the right kind, and its tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError, ModelError
from genai_lab.models.loading import reading_weights
from genai_lab.training.module_kinds import LANGUAGE_MODEL, LanguageModel
from genai_lab.training.plan import Architecture

SAFE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


def load_module(
    folder: Path,
    architecture: Architecture,
    kind: LanguageModel = LANGUAGE_MODEL,
    labels: Sequence[str] = (),
    **settings: Any,
) -> Any:
    """The base in float32; a head that the base lacks is new. Raises ModelError in one sentence."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with reading_weights():
            module = kind.auto_class(architecture).from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **SAFE, **kind.loading(labels), **settings
            )
    except LabError:
        raise
    except Exception as problem:
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ModelError(f"The base in {folder.name} cannot be loaded: {lines[0].rstrip('.:')[:300]}.") from problem
    module.config.use_cache = False
    if kind.whole_folder:
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
    tokens = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id}
    return frozenset(token for token in tokens if token is not None)


def start_of(module_config: Any) -> int | None:
    """The token that a decoder begins with."""
    start = getattr(module_config, "decoder_start_token_id", None)
    return start if start is not None else getattr(module_config, "bos_token_id", None)
