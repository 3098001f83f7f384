"""What a model takes in memory once it is loaded, foreseen from its files without importing torch.

The weights as they are loaded; for a small one the packed copy that its decoding step reads; the step's graph; the
tokenizer; code. The rest of the process (Python, torch, the app) is no model's and counts once.
"""

import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from genai_lab.decoding import PACKED_UP_TO, TRACED_UP_TO
from genai_lab.errors import LabError
from genai_lab.models import CACHED, Card, Family, Options
from genai_lab.models.checks import read_json

SIZES = {
    "number of layers": ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers"),
    "width": ("hidden_size", "d_model", "n_embd", "dim"),
    "vocabulary size": ("vocab_size",),
    "inner width": ("intermediate_size", "d_ff", "n_inner", "ffn_dim", "encoder_ffn_dim"),
}
HEADS = (
    ("num_decoder_layers", "decoder_layers", *SIZES["number of layers"]),
    ("decoder_attention_heads", "num_attention_heads", "num_heads", "n_head", "n_heads"),
    ("num_key_value_heads", "num_kv_heads"),
    ("head_dim", "d_kv"),
    SIZES["width"],
)
# Weights that are packed while a model is loaded on a CPU, by bits; activations and the cache stay float32.
PACKED_DTYPES = {"int8": 8, "int4": 4}
FLOAT_DTYPES = ("float32", "bfloat16", "float16")
GENERATING = ("decoder-only", "encoder-decoder")
# Measured by `python -m benchmarks.models`: bytes of code and scratch that a model's first texts need, bytes that the
# first graph of a step takes and those of one layer of it, and bytes in memory for each byte of a tokenizer's file.
CODE = 30_000_000
GRAPH, GRAPH_LAYER = 10_000_000, 3_000_000
TOKENIZER = 12


@dataclass(frozen=True)
class Size:
    """Bytes; `total` holds `cache`, the keys and values of one text that fills the context."""

    total: int
    cache: int
    dtype: str


def estimate_memory(
    config: dict[str, Any],
    family: Family,
    parameters: int,
    room: int | None,
    dtype: str,
    options: Options,
    folder: Path | None = None,
) -> Size:
    """Of a model whose weights are loaded in `dtype`; without a folder the tokenizer counts nothing."""
    packed = dtype in PACKED_DTYPES
    weights, cache = packed_weight_bytes(config, parameters, dtype) if packed else parameters * width(dtype), 0
    file = folder / "tokenizer.json" if folder is not None else None
    code = CODE + TOKENIZER * (file.stat().st_size if file is not None and file.is_file() else 0)
    if family in GENERATING:
        cache = cached_numbers(config, room) * width(dtype)
        if (packed or dtype == "float32") and device_of(options) == "cpu":
            weights += 0 if packed else packed_bytes(parameters)
            code += graph_bytes(config) if parameters <= TRACED_UP_TO else 0
    return Size(weights + cache + code, cache, dtype)


def graph_bytes(config: dict[str, Any]) -> int:
    """Of the graph of a model's step, without its copy of the weights."""
    return GRAPH + GRAPH_LAYER * _first(config, HEADS[0])


def scorer_bytes(parameters: int) -> int:
    """Of a model that only scores texts, which is loaded in float32 without a decoding step."""
    return 4 * parameters + CODE


def packed_bytes(parameters: int) -> int:
    """The second copy of float32 weights that the decoding step of a small model reads on a CPU."""
    return 4 * parameters if parameters <= PACKED_UP_TO else 0


def packed_weight_bytes(config: dict[str, Any], parameters: int, dtype: str) -> int:
    """Of weights packed as int8 or int4 (whose groups of 32 share four bytes) and token embeddings in bfloat16.

    A head that the file ties to the embeddings is packed as well as them.
    """
    embeddings = _first(config, SIZES["vocabulary size"]) * _first(config, SIZES["width"])
    tied = bool(config.get("tie_word_embeddings", True))
    packed = parameters - (0 if tied else embeddings)
    return packed * PACKED_DTYPES[dtype] // 8 + (packed // 8 if dtype == "int4" else 0) + 2 * embeddings


def load_dtype(options: Options, stored: str, family: Family) -> str:
    """The dtype that weights are loaded in: as set, else float32 on a CPU and as stored on an accelerator.

    Classifiers and reward models are always loaded in float32.
    """
    if family not in GENERATING:
        return "float32"
    if options.dtype != "auto":
        return options.dtype
    return "float32" if device_of(options) == "cpu" or stored == "float64" else stored


def placed_options(options: Options, card: Card) -> Options:
    """The options with the dtype and device that the card is to be loaded in and on, where it names them."""
    loadable = card.loaded_dtype in (*FLOAT_DTYPES, *PACKED_DTYPES)
    dtype = card.loaded_dtype if loadable else None
    return replace(options, dtype=dtype or options.dtype, device=card.device or options.device)


def placed_card(card: Card, dtype: str, device: str) -> Card:
    """The card as loaded in this dtype on this device, with the memory that it then takes."""
    placed = replace(card, loaded_dtype=dtype, device=device)
    if card.loaded_dtype == dtype or card.path is None or card.is_adapter or not card.parameters:
        return placed
    try:
        size = _size_of(card.path, card.family, card.parameters, card.context, dtype, device)
    except (OSError, LabError):
        return placed  # its folder is gone, which its status says
    return replace(placed, memory_bytes=size.total, cache_bytes=size.cache)


@lru_cache(maxsize=512)
def _size_of(path: Path, family: Family, parameters: int, room: int | None, dtype: str, device: str) -> Size:
    options = Options(device=device, dtype=dtype)
    return estimate_memory(read_json(path / "config.json"), family, parameters, room, dtype, options, path)


def device_of(options: Options) -> str:
    """The device as set, or what torch will most likely choose, without importing it."""
    if options.device != "auto":
        return options.device
    if Path("/dev/nvidiactl").exists() or Path("/dev/nvidia0").exists():
        return "cuda"
    return "mps" if sys.platform == "darwin" else "cpu"


def width(dtype: str) -> int:
    """Bytes of one number that is computed with."""
    return {"float64": 8, "float32": 4, "int8": 4, "int4": 4}.get(dtype, 2)


def cached_numbers(config: dict[str, Any], room: int | None) -> int:
    """Keys and values of one text of `room` tokens, at most CACHED; 0 where the configuration tells no sizes.

    A decoder keeps both for each of its layers, and one below an encoder keeps the encoder's beside its own.
    """
    layers, heads, kv_heads, size, width = (_first(config, names) for names in HEADS)
    size = size or (width // heads if heads else 0)
    sides = 2 if config.get("is_encoder_decoder") else 1
    return 2 * sides * layers * (kv_heads or heads) * size * min(room or CACHED, CACHED)


def _first(config: dict[str, Any], names: tuple[str, ...]) -> int:
    return next((config[name] for name in names if isinstance(config.get(name), int) and config[name] > 0), 0)
