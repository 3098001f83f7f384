"""Fused operations give the module's own numbers and leave nothing behind."""

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from genai_lab.decoding.fused_layers import fuse_layers

SIZE = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}


def modules() -> list[torch.nn.Module]:
    torch.manual_seed(0)
    pair = T5Config(
        vocab_size=50, d_model=16, d_ff=24, d_kv=8, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu"
    )
    return [
        LlamaForCausalLM(LlamaConfig(**SIZE, **HEADS)),
        Qwen2ForCausalLM(Qwen2Config(**SIZE, **HEADS)),  # with biases
        T5ForConditionalGeneration(pair),
    ]


@pytest.mark.parametrize("module", modules(), ids=lambda item: type(item).__name__)
def test_the_numbers_stay_and_the_module_is_left_as_it_was(module: torch.nn.Module) -> None:
    ids = torch.tensor([[3, 7, 9, 1]])
    options = {"decoder_input_ids": ids} if "T5" in type(module).__name__ else {}
    module.eval()
    with torch.no_grad():
        plain = module(input_ids=ids, **options).logits
        with fuse_layers(module):
            changed = [part for part in module.modules() if "forward" in vars(part)]
            quick = module(input_ids=ids, **options).logits
    assert len(changed) > 4
    assert torch.allclose(plain, quick, atol=1e-5)
    assert not any("forward" in vars(part) for part in module.modules())
