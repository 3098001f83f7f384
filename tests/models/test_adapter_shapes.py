"""Whole weights that an adapter brings, told from the headers when it is added."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Options, Source
from tests.models.folders import lora, small_llama


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("lm_head.weight", (260, 16), "embeddings of 260 words, and the base has 258, so it was trained after"),
        ("model.embed_tokens.weight", (300, 16), r"Resize the base to 300 \(resize_token_embeddings\)"),
        ("model.embed_tokens.base_layer.weight", (260, 16), "embeddings of 260 words"),
        ("model.embed_tokens.lora_embedding_A", (2, 260), "embeddings of 260 words"),
        ("lm_head.weight", (258, 8), "brings lm_head.weight as 258x8, and the base has 258x16"),
        ("model.norm.weight", (8,), "brings model.norm.weight as 8, and the base has 16 there"),
        ("lm_head.weight", (258, 16), ""),
        ("model.embed_tokens.lora_embedding_A", (2, 258), ""),
    ],
)
def test_whole_weights_of_an_adapter_must_have_the_bases_shape(
    name: str, shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    adapter = lora(tmp_path / "lora")
    path = adapter / "adapter_model.safetensors"
    save_file(load_file(path) | {f"base_model.model.{name}": np.zeros(shape, np.float32)}, path)
    base = small_llama(tmp_path / "small")
    source = Source("adapter", str(adapter), base="small")
    options = Options(device="cpu", roots=(tmp_path,), base_paths=(("small", base),))
    if not message:
        assert BACKENDS.get("adapter").inspect(source, "tuned", options).parameters
        return
    with pytest.raises(ModelError, match=message):
        BACKENDS.get("adapter").inspect(source, "tuned", options)
