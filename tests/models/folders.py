"""Model folders for tests: a small random Llama with a byte-level tokenizer, written without torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from genai_lab.models import BACKENDS, Card, Options, Source

SHARED = Path(__file__).resolve().parents[2] / "../shared"
STORIES = SHARED / "data" / "models" / "stories260K-hf"
SIZE, INNER, VOCABULARY = 16, 24, 258
README = "---\nlicense: cc-by-4.0\n---\n# Small\n\nA random model for tests.\n"


def tensors(size: int = SIZE, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    layer = "model.layers.0"
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, size),
        "model.norm.weight": (size,),
        "lm_head.weight": (VOCABULARY, size),
        f"{layer}.input_layernorm.weight": (size,),
        f"{layer}.post_attention_layernorm.weight": (size,),
        f"{layer}.mlp.gate_proj.weight": (INNER, size),
        f"{layer}.mlp.up_proj.weight": (INNER, size),
        f"{layer}.mlp.down_proj.weight": (size, INNER),
    } | {f"{layer}.self_attn.{part}_proj.weight": (size, size) for part in "qkvo"}
    result = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    return {name: np.ones_like(value) if "norm" in name else value for name, value in result.items()}


def config(size: int = SIZE, **options: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": size,
        "intermediate_size": INNER,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 64,
        "tie_word_embeddings": False,
        "eos_token_id": 257,
        "pad_token_id": 256,
        **options,
    }


def small_llama(folder: Path, *, size: int = SIZE, seed: int = 0, shards: int = 1, **options: Any) -> Path:
    """Writes the folder and gives it back; `more` goes into config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config(size, **options)))
    (folder / "README.md").write_text(README)
    write_tokenizer(folder)
    weights = tensors(size, seed)
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    names, table = sorted(weights), {}
    for index in range(shards):
        file = f"model-{index + 1:05}-of-{shards:05}.safetensors"
        save_file({n: weights[n] for n in names[index::shards]}, folder / file, metadata={"format": "pt"})
        table |= dict.fromkeys(names[index::shards], file)
    index_text = json.dumps({"metadata": {"total_size": 0}, "weight_map": table})
    (folder / "model.safetensors.index.json").write_text(index_text)
    return folder


def write_tokenizer(folder: Path) -> None:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<pad>", "<end>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def lora(folder: Path, *, size: int = SIZE, scale: float = 1.0, **options: Any) -> Path:
    """A LoRA adapter of rank 2 on the small Llama's q and v projections."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "small",
        "r": 2,
        "lora_alpha": 4,
        "target_modules": ["q_proj", "v_proj"],
        "inference_mode": True,
        **options,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    rng, weights = np.random.default_rng(1), {}
    for part in ("q_proj", "v_proj"):
        name = f"base_model.model.model.layers.0.self_attn.{part}"
        weights[f"{name}.lora_A.weight"] = rng.normal(0, scale, (2, size)).astype(np.float32)
        weights[f"{name}.lora_B.weight"] = rng.normal(0, scale, (size, 2)).astype(np.float32)
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def soft_prompt(folder: Path, *, size: int = 3) -> Path:
    """A prompt-tuning adapter of random embeddings for the small Llama."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": size}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    table = np.random.default_rng(2).normal(0, 1, (size, SIZE)).astype(np.float32)
    save_file({"prompt_embeddings": table}, folder / "adapter_model.safetensors")
    return folder


def inspect(folder: Path, *, roots: tuple[Path, ...] | None = None, **options: object) -> Card:
    settings = Options(device="cpu", roots=roots or (folder.parent,), **options)  # type: ignore[arg-type]
    return BACKENDS.get("local").inspect(Source("local", str(folder)), "small", settings)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
