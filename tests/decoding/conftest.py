"""Tiny random models with a byte-level tokenizer, shared by all tests of decoding."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from genai_lab.models import Card, Source
from genai_lab.models.transformers import LocalGenerator

# Small models gain nothing from a second core, and lose much where it is busy.
torch.set_num_threads(1)
CHAT = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}<assistant> "
SMALL = {"vocab_size": 260, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte: id 4 + byte; 0 pads, 1 ends."""
    marks = sorted(pre_tokenizers.ByteLevel.alphabet(), key=_byte_of)
    names = ["<pad>", "</s>", "<a>", "<b>", *marks]
    raw = Tokenizer(models.BPE(vocab={name: index for index, name in enumerate(names)}, merges=[]))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", chat_template=CHAT)


def _byte_of(mark: str) -> int:
    stored = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return ord(mark) if ord(mark) in stored else [b for b in range(256) if b not in stored][ord(mark) - 256]


def generator_of(module: Any, context: int = 256, prepared: bool = True) -> LocalGenerator:
    family = "encoder-decoder" if module.config.is_encoder_decoder else "decoder-only"
    card = Card("tiny", Source("local", "tiny"), "generate", family, type(module).__name__)
    generator = LocalGenerator(card, module.eval(), byte_tokenizer(), context)
    if prepared:
        generator.prepare()
    return generator


def without_graph(generator: LocalGenerator) -> LocalGenerator:
    """The generator, which decodes by the module's own forward."""
    generator.scheduler.network.quick = None
    return generator


def tiny_llama() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**SMALL, **sizes, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3)
    return LlamaForCausalLM(config)


def tiny_t5() -> Any:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "feed_forward_proj": "gated-gelu"}
    config = T5Config(**SMALL, **sizes, decoder_start_token_id=0, initializer_factor=3.0)
    return T5ForConditionalGeneration(config)


@pytest.fixture(scope="session")
def llama() -> Iterator[LocalGenerator]:
    generator = generator_of(tiny_llama())
    yield generator
    generator.close()


@pytest.fixture(scope="session")
def t5() -> Iterator[LocalGenerator]:
    generator = generator_of(tiny_t5())
    yield generator
    generator.close()


@pytest.fixture(params=["llama", "t5"])
def either(request: pytest.FixtureRequest) -> LocalGenerator:
    result: LocalGenerator = request.getfixturevalue(request.param)
    return result
