"""A GGUF file as a folder that transformers loads: weights taken out of their blocks, tensor by tensor.

Only one tensor is in memory at a time. Names and layouts of tensors are transformers' own knowledge of GGUF; every
tensor of the file must have its place in the model and every weight of the model its tensor, else the file is refused.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genai_lab.errors import ModelError
from genai_lab.files import atomic_folder
from genai_lab.models.checks import check_disk, size_text
from genai_lab.models.gguf_header import GgufHeader, GgufTensor
from genai_lab.models.gguf_tokenizer import check_splitting, check_tokenizer, write_tokenizer

ARCHITECTURES = ("gpt2", "llama", "qwen2", "qwen3")
# Types whose numbers can be taken out of their blocks.
TYPES = (
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ1_M",
    "IQ1_S", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ3_S", "IQ3_XXS", "IQ4_NL", "IQ4_XS", "MXFP4", "TQ1_0", "TQ2_0",
)  # fmt: skip
# The dtype of the copy by the types in the file; anything in blocks becomes bfloat16.
EXACT = {("F32",): "F32", ("F16",): "F16", ("F16", "F32"): "F16"}
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}
# Factors of rotary positions that a file may hold in place of settings; the configuration tells the same.
ROPE_FACTORS = "rope_freqs.weight"
Progress = Callable[[int, int, str], None]


def check_supported(header: GgufHeader) -> None:
    """Raises ModelError, which names what can be imported, for a file that cannot."""
    if header.architecture not in ARCHITECTURES:
        raise ModelError(
            f"{header.path} holds a model of the architecture {header.architecture[:60]!r}; these can be imported: "
            f"{', '.join(ARCHITECTURES)}."
        )
    if unknown := [name for name in header.types if name not in TYPES]:
        raise ModelError(
            f"{header.path} is quantised as {unknown[0]}; these types can be imported: {', '.join(TYPES)}."
        )
    if (parts := header.number("split.count")) and parts > 1:
        raise ModelError(f"{header.path} is one of {parts} parts; join them with llama-gguf-split --merge first.")
    scaling = header.text(f"{header.architecture}.rope.scaling.type")
    if scaling not in (None, "none") or any(tensor.name == ROPE_FACTORS for tensor in header.tensors):
        raise ModelError(
            f"{header.path} stretches its positions ({scaling or ROPE_FACTORS}), which the import does not do yet; get "
            "the model from the Hub instead."
        )
    check_splitting(header)


def dtype_of(header: GgufHeader) -> str:
    """The dtype of the copy in the spelling of safetensors: the file's own where it holds plain numbers."""
    return EXACT.get(header.types, "BF16")


def copy_bytes(header: GgufHeader) -> int:
    """How large the weights of the copy will be."""
    return header.parameters * WIDTHS[dtype_of(header)]


def import_gguf(header: GgufHeader, folder: Path, about: str, progress: Progress) -> None:
    """Writes the model of the file into the new `folder`; `progress` is told bytes done, all bytes and what is done.

    Nothing is left of a folder that could not be finished. Raises ModelError.
    """
    check_supported(header)
    check_disk(folder, copy_bytes(header), f"The copy of {header.path}")
    with atomic_folder(folder) as draft:
        progress(0, header.size, "tokenizer")
        ends = write_tokenizer(header, draft)
        check_tokenizer(header, draft)
        model = _empty_model(header, ends)
        _write_weights(header, model, draft / "model.safetensors", progress)
        model.config.save_pretrained(draft)
        model.generation_config.save_pretrained(draft)
        licence = f"license: {header.licence}\n" if header.licence else ""
        (draft / "README.md").write_text(f"---\n{licence}---\n\n{about}\n", encoding="utf-8")


def config_of(header: GgufHeader) -> dict[str, Any]:
    """The settings of transformers' configuration that the metadata state."""
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    known: Any = GGUF_CONFIG_MAPPING[header.architecture]
    names: dict[str, str | None] = {**known, "attention.key_length": "head_dim"}
    settings: dict[str, Any] = {
        name: header.metadata[f"{header.architecture}.{key}"]
        for key, name in names.items()
        if name and name != "vocab_size" and f"{header.architecture}.{key}" in header.metadata
    }
    tensors = {tensor.name: tensor for tensor in header.tensors}
    if "token_embd.weight" not in tensors:
        raise ModelError(f"{header.path} has no token embeddings (token_embd.weight); it is not a complete model.")
    if header.architecture == "gpt2":
        settings.pop("head_dim", None)
    if header.architecture == "llama":
        settings["attention_bias"] = "blk.0.attn_q.bias" in tensors
        settings["mlp_bias"] = "blk.0.ffn_up.bias" in tensors
    settings["vocab_size"] = tensors["token_embd.weight"].shape[0]
    settings["tie_word_embeddings"] = "output.weight" not in tensors
    for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
        settings[f"{name}_token_id"] = header.number(f"tokenizer.ggml.{key}_token_id")
    if settings["pad_token_id"] is None:
        settings["pad_token_id"] = settings["eos_token_id"]
    return settings


def _empty_model(header: GgufHeader, ends: tuple[int, ...]) -> Any:
    """The module without content, whose configuration knows of no quantisation."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    dtype = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[dtype_of(header)]
    settings = config_of(header)
    try:
        config = AutoConfig.for_model(header.architecture, **settings, dtype=dtype)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except Exception as problem:
        # A configuration from elsewhere makes transformers raise anything.
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ModelError(f"{header.path} describes no model that can be built: {lines[0][:200]}.") from problem
    config.architectures = [type(model).__name__]
    model.generation_config = GenerationConfig(
        bos_token_id=settings["bos_token_id"],
        eos_token_id=list(ends) if len(ends) > 1 else next(iter(ends), None),
        pad_token_id=settings["pad_token_id"],
    )
    return model


def _write_weights(header: GgufHeader, model: Any, path: Path, progress: Progress) -> None:
    """Writes the file of weights as it goes (format: 8-byte length, JSON, data)."""
    state = model.state_dict()
    tied = set(model.all_tied_weights_keys) if model.config.tie_word_embeddings else set()
    places = _places(header, model)
    if lacking := sorted(set(state) - set(places.values()) - tied):
        raise ModelError(f"{header.path} is missing the weights of {lacking[0]}; it is not a complete model.")
    dtype, end, entries = dtype_of(header), 0, {}
    for tensor in header.tensors:
        target = places[tensor.name]
        shape = list(state[target].shape)
        if math.prod(shape) != tensor.numbers:
            raise ModelError(
                f"{header.path} gives {tensor.name} the shape {tensor.shape}, but its metadata ask for {shape}."
            )
        size = tensor.numbers * WIDTHS[dtype]
        entries[target] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    text += b" " * (-len(text) % 8)
    done = 0
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for tensor, weights in _weights(header, model, places):
            if weights.shape != tuple(state[places[tensor.name]].shape):
                raise ModelError(f"{header.path} gives {tensor.name} another shape than its metadata ask for.")
            stream.write(_as_bytes(weights, dtype))
            done += tensor.bytes
            progress(done, header.size, tensor.name)


def _places(header: GgufHeader, model: Any) -> dict[str, str]:
    """The weight of the model that each tensor becomes; raises ModelError for a tensor without one."""
    from transformers.modeling_gguf_pytorch_utils import get_gguf_hf_weights_map

    known = get_gguf_hf_weights_map(model, _processor(header, model))
    if header.architecture == "gpt2":
        known["output.weight"] = "lm_head.weight"
    if strange := [tensor.name for tensor in header.tensors if tensor.name not in known]:
        raise ModelError(
            f"{header.path} holds {strange[0]!r}, which no {header.architecture} has; it needs another import."
        )
    return {tensor.name: known[tensor.name] for tensor in header.tensors}


def _weights(
    header: GgufHeader, model: Any, places: Mapping[str, str]
) -> Iterator[tuple[GgufTensor, np.ndarray[Any, np.dtype[np.float32]]]]:
    """Each tensor with its numbers as the model lays them out, in float32."""
    from gguf import GGMLQuantizationType, dequantize

    processor = _processor(header, model)
    data = np.memmap(header.path, dtype=np.uint8, mode="r")
    for tensor in header.tensors:
        blocks = data[tensor.offset : tensor.offset + tensor.bytes].reshape(*tensor.shape[:-1], -1)
        kind = GGMLQuantizationType[tensor.type]
        plain = {"F32": np.float32, "F16": np.float16}.get(tensor.type)
        numbers = blocks.view(plain).astype(np.float32) if plain else dequantize(blocks, kind)
        names = dict(places)
        processed = processor.process(numbers, tensor.name, tensor_key_mapping=names, parsed_parameters={"tensors": {}})
        yield tensor, np.ascontiguousarray(processed.weights, dtype=np.float32)


def _processor(header: GgufHeader, model: Any) -> Any:
    """What undoes llama.cpp's own order of rows and columns."""
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor

    return TENSOR_PROCESSORS.get(header.architecture, TensorProcessor)(config=model.config.to_dict())


def _as_bytes(weights: np.ndarray[Any, np.dtype[np.float32]], dtype: str) -> bytes:
    """The numbers in the dtype, to the nearest with ties to even."""
    import torch

    if dtype == "F32":
        return weights.tobytes()
    kind = torch.float16 if dtype == "F16" else torch.bfloat16
    return torch.from_numpy(weights).to(kind).view(torch.uint8).numpy().tobytes()


def about_copy(header: GgufHeader, name: str) -> str:
    """A sentence for the model's card: what it was made from and what was lost."""
    lossy = "" if dtype_of(header) == header.quantisation else "; what the quantisation lost stays lost"
    return f"Made from {name} ({header.quantisation}, {size_text(header.size)}){lossy}."
