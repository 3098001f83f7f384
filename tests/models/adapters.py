"""Adapters for tests: made by PEFT on tiny random models, with weights that change what the model says."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as CONFIGS
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from genai_lab.models import BACKENDS, Card, Options, Source
from tests.decoding.conftest import byte_tokenizer, tiny_llama, tiny_t5

MAKERS = {"llama": tiny_llama, "t5": tiny_t5}
TASKS = {"llama": "CAUSAL_LM", "t5": "SEQ_2_SEQ_LM"}
ATTENTION = {"llama": ["q_proj", "v_proj"], "t5": ["q", "v"]}
OUTPUT = {"llama": ["down_proj"], "t5": ["wo"]}
NORMS = {"llama": ["input_layernorm"], "t5": ["layer_norm"]}


def settings(kind: str, family: str) -> dict[str, Any]:
    """PEFT's settings for a kind, small enough for the tiny models; `DORA` and others are LoRA with an option."""
    layers = {"target_modules": ATTENTION[family]}
    values_given: dict[str, dict[str, Any]] = {
        "DORA": layers | {"use_dora": True},
        "RSLORA": layers | {"use_rslora": True, "rank_pattern": {ATTENTION[family][0]: 2}},
        "LORA WITH HEAD": layers | {"modules_to_save": ["lm_head"]},
        "LORA ON EMBEDDINGS": {
            "target_modules": [*ATTENTION[family], "embed_tokens" if family == "llama" else "shared"]
        },
        "ADALORA": layers | {"total_step": 10},
        "IA3": {"target_modules": ATTENTION[family] + OUTPUT[family], "feedforward_modules": OUTPUT[family]},
        "LN_TUNING": {"target_modules": NORMS[family]},
        "OFT": layers | {"r": 0, "oft_block_size": 8},
        "FOURIERFT": layers | {"n_frequency": 50},
        "TRAINABLE_TOKENS": {"token_indices": [76, 105, 36]},
        "CPT": {"cpt_token_ids": [5, 6, 7], "cpt_mask": [1, 1, 1], "cpt_tokens_type_mask": [1, 2, 2]},
        "PREFIX_TUNING": {"num_virtual_tokens": 4, "prefix_projection": True, "encoder_hidden_size": 12},
        "P_TUNING": {"num_virtual_tokens": 3, "encoder_hidden_size": 12},
        "PROMPT_TUNING": {"num_virtual_tokens": 5},
        "CARTRIDGE": {"num_virtual_tokens": 2},
    }
    return values_given.get(kind, layers)


def adapter(folder: Path, kind: str, family: str, base: Path, seed: int = 0) -> Path:
    """Writes an adapter of `kind` for the tiny model of the family and returns its folder."""
    method = "LORA" if "LORA" in kind.split("_")[0] and kind not in CONFIGS else kind
    torch.manual_seed(seed)
    config = CONFIGS["LORA" if method == "DORA" else method](task_type=TASKS[family], **settings(kind, family))
    model = get_peft_model(load_model(base), config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.3)
    model.save_pretrained(str(folder))
    return folder


def load_model(folder: Path) -> Any:
    """The model of a folder, loaded by transformers."""
    kind = AutoModelForSeq2SeqLM if "t5" in folder.name else AutoModelForCausalLM
    return kind.from_pretrained(folder).eval()


def reference(base: Path, folder: Path) -> Any:
    """The adapter as PEFT loads it."""
    return PeftModel.from_pretrained(load_model(base), folder).eval()


def tiny_folder(folder: Path, family: str) -> Path:
    model = MAKERS[family]()
    model.generation_config.bos_token_id = None
    model.save_pretrained(folder / family)
    byte_tokenizer().save_pretrained(folder / family)
    return folder / family


def card(name: str, folder: Path, base: Path | None = None, **settings: Any) -> Card:
    """The card of a model, or of an adapter on the folder `base`, whose name is the base's."""
    options = Options(device="cpu", roots=(folder.parent,), base_paths=((base.name, base),) if base else (), **settings)
    source = Source("adapter" if base else "local", str(folder), base=base.name if base else None)
    return BACKENDS.get(source.backend).inspect(source, name, options)
