"""Small GGUF files, written by the gguf package from tiny models as llama.cpp's converter lays them out."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(
    folder: Path, path: Path, kind: str = "F32", architecture: str = "llama", pre: str = "gpt-2", **metadata: Any
) -> Path:
    """The transformers model in `folder` as a GGUF file with its matrices in the type `kind`.

    `metadata` adds entries or, given None, leaves out those that are called so (with __ for a dot).
    """
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    writer = GGUFWriter(path, architecture)
    for key, (value, add) in _entries(writer, folder, model.config, pre).items():
        if key not in metadata:
            add(value)
    for key, value in metadata.items():
        if value is not None:
            writer.add_key_value(key.replace("__", "."), value, _type_of(value))
    for name, weights in _tensors(model, architecture).items():
        stored = GGMLQuantizationType[kind] if weights.ndim > 1 else GGMLQuantizationType.F32
        writer.add_tensor(name, quants.quantize(weights, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _entries(writer: GGUFWriter, folder: Path, config: Any, pre: str) -> dict[str, tuple[Any, Any]]:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = {
        **tokenizer["model"]["vocab"],
        **{token["content"]: token["id"] for token in tokenizer["added_tokens"]},
    }
    special = {token["content"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    template = folder / "chat_template.jinja"
    merges = [" ".join(merge) for merge in tokenizer["model"]["merges"]]
    entries = {
        "context": (config.max_position_embeddings, writer.add_context_length),
        "width": (config.hidden_size, writer.add_embedding_length),
        "layers": (config.num_hidden_layers, writer.add_block_count),
        "inner": (config.intermediate_size, writer.add_feed_forward_length),
        "heads": (config.num_attention_heads, writer.add_head_count),
        "kv_heads": (config.num_key_value_heads, writer.add_head_count_kv),
        "head_dim": (getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
                     writer.add_key_length),
        "norm": (config.rms_norm_eps, writer.add_layer_norm_rms_eps),
        "rope": (config.rope_parameters["rope_theta"], writer.add_rope_freq_base),
        "vocabulary": (len(tokens), writer.add_vocab_size),
        "licence": ("apache-2.0", writer.add_license),
        "model": ("gpt2", writer.add_tokenizer_model),
        "pre": (pre, writer.add_tokenizer_pre),
        "tokens": (tokens, writer.add_token_list),
        "types": ([TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens],
                  writer.add_token_types),
        "merges": (merges, writer.add_token_merges),
        "eos": (config.eos_token_id, writer.add_eos_token_id),
        "bos": (config.eos_token_id, writer.add_bos_token_id),
        "add_bos": (False, writer.add_add_bos_token),
    }  # fmt: skip
    if template.is_file():
        entries["template"] = (template.read_text(), writer.add_chat_template)
    return entries


def _tensors(model: Any, architecture: str) -> dict[str, np.ndarray]:
    heads, kv_heads = model.config.num_attention_heads, model.config.num_key_value_heads
    tensors = {}
    for name, weights in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        array = weights.float().numpy()
        if architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
            array = _permuted(array, heads if ".attn_q." in name else kv_heads)
        tensors[name] = np.ascontiguousarray(array)
    return tensors


def _permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a Llama's queries or keys in llama.cpp's order: pairs of rotated dimensions side by side."""
    shape = (heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return weights.reshape(shape).swapaxes(1, 2).reshape(weights.shape)


def _type_of(value: Any) -> Any:
    from gguf import GGUFValueType

    return GGUFValueType.get_type(value)


def header_bytes(version: int = 3, tensors: int = 1, entries: int = 1, remainder: bytes = b"") -> bytes:
    """The first bytes of a file that says what it is told to, true or not."""
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries) + remainder


def text_bytes(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def entry_bytes(key: str, text: str) -> bytes:
    return text_bytes(key) + struct.pack("<I", 8) + text_bytes(text)


def tensor_bytes(name: str = "a.weight", shape: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return text_bytes(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
