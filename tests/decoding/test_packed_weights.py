"""Models with packed weights: close to the full ones, smaller, and one engine for both."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from genai_lab.decoding import Sampling
from genai_lab.decoding.packed_weights import INT8_ROWS, Int4Linear, Int8Linear, PackedLinear, pack_weights
from genai_lab.errors import BadSetting
from genai_lab.models import BACKENDS, Options, Prompt, Request, Source
from genai_lab.models.sizing import packed_weight_bytes
from genai_lab.models.transformers import bytes_of
from tests.decoding.conftest import generator_of, tiny_llama, tiny_t5, without_graph
from tests.models import adapters
from tests.tiny import random_model


def tiny_gpt2() -> Any:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=260, n_positions=256, n_embd=32, n_layer=2, n_head=4, eos_token_id=1))


MODULES = {"llama": tiny_llama, "t5": tiny_t5, "gpt2": tiny_gpt2}


@pytest.mark.parametrize("rows", [1, max(INT8_ROWS.values()) + 1], ids=["few rows", "many rows"])
def test_int8_products_are_off_by_less_than_one_step_of_each_weight(rows: int) -> None:
    torch.manual_seed(0)
    linear, x = torch.nn.Linear(64, 48), torch.randn(rows, 64)
    packed = Int8Linear(linear.weight, linear.bias)
    step = linear.weight.abs().amax(1) / 127
    # Half a step for each weight, and the rounding of bfloat16 on both sides of the product.
    bound = x.abs().sum(1, keepdim=True) * step / 2 + 2**-7 * (x.abs() @ linear.weight.abs().T)
    assert ((packed(x) - linear(x)).abs() <= bound).all()
    assert packed(x).dtype == torch.float32


def test_an_int4_product_is_off_by_less_than_one_step_of_each_group() -> None:
    torch.manual_seed(0)
    linear, x = torch.nn.Linear(64, 48), torch.randn(5, 64)
    groups = linear.weight.detach().reshape(48, 2, 32)
    steps = ((groups.amax(-1) - groups.amin(-1)) / 15).repeat_interleave(32, 1)
    bound = x.abs() @ (steps * 0.75).T + 2**-6 * (x.abs() @ linear.weight.abs().T)
    assert ((Int4Linear(linear.weight, linear.bias)(x) - linear(x)).abs() <= bound).all()


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("family", MODULES)
def test_a_packed_model_generates_what_its_own_module_says(family: str, dtype: str) -> None:
    module = pack_weights(MODULES[family]().eval(), dtype)
    plain, generator = without_graph(generator_of(copy.deepcopy(module))), generator_of(module)
    assert any(isinstance(part, PackedLinear) for part in module.modules())
    for count in (1, 3):
        prompts = [
            Request(Prompt("Once upon" + " a" * n), Sampling(max_new_tokens=8, greedy=True)) for n in range(count)
        ]
        texts = [[next(iter(completed(g, prompt))) for prompt in prompts] for g in (plain, generator)]
        assert texts[0] == texts[1]
    plain.close()
    generator.close()


def completed(generator: Any, request: Request) -> list[str]:
    [stream] = generator.submit([request])
    list(stream)
    return [completion.text for completion in stream.completions]


def test_int8_logits_stay_close_and_embeddings_are_exact_in_bfloat16() -> None:
    module = tiny_llama().bfloat16().float().eval()
    packed = pack_weights(copy.deepcopy(module), "int8")
    ids = torch.arange(4, 40)[None]
    assert torch.equal(packed.get_input_embeddings()(ids), module.get_input_embeddings()(ids))
    with torch.no_grad():
        full, small = (m(ids).logits.log_softmax(-1) for m in (module, packed))
    assert float((full.exp() * (full - small)).sum(-1).mean()) < 0.02


def test_siblings_that_are_joined_share_one_copy_of_their_weights() -> None:
    layers = [Int8Linear(torch.randn(size, 32), None) for size in (32, 16, 16)]
    x = torch.randn(2, 32)
    apart = [layer(x) for layer in layers]
    both = Int8Linear.joined(layers)
    assert torch.equal(both(x), torch.cat([layer(x) for layer in layers], -1))
    assert all(torch.equal(layer(x), before) for layer, before in zip(layers, apart, strict=True))
    assert {layer.weight.untyped_storage().data_ptr() for layer in layers} == {both.weight.untyped_storage().data_ptr()}


def test_layers_of_odd_sizes_are_packed_as_int8_where_int4_cannot_hold_them() -> None:
    module = pack_weights(tiny_llama(), "int4")
    kinds = {name: type(part) for name, part in module.named_modules() if isinstance(part, PackedLinear)}
    assert kinds["model.layers.0.mlp.up_proj"] is Int4Linear
    assert kinds["lm_head"] is Int8Linear, "260 outputs are no multiple of 16"


def test_a_folder_is_loaded_packed_with_the_memory_that_its_card_foresees(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "model")
    options = Options(device="cpu", dtype="int8", roots=(tmp_path,))
    backend = BACKENDS.get("local")
    card = backend.inspect(Source("local", str(folder)), "model", options)
    generator: Any = backend.load(card, options)
    assert card.loaded_dtype == "int8"
    foreseen = packed_weight_bytes(generator.module.config.to_dict(), card.parameters or 0, "int8")
    # Scales and norms are not counted, which are much of a layer of 32 inputs and nothing of one of 576.
    assert foreseen < bytes_of(generator.module) < 1.5 * foreseen
    assert completed(generator, Request(Prompt("Once"), Sampling(max_new_tokens=4, seed=1)))
    generator.close()


def test_an_accelerator_does_not_take_packed_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genai_lab.models.transformers.choose_device", lambda device: "cuda")
    folder = random_model(tmp_path / "model")
    options = Options(device="cuda", dtype="int4", roots=(tmp_path,))
    card = BACKENDS.get("local").inspect(Source("local", str(folder)), "model", options)
    with pytest.raises(BadSetting, match="runs on cuda"):
        BACKENDS.get("local").load(card, options)


@pytest.mark.parametrize("kind", ["LORA", "IA3", "PROMPT_TUNING"])
def test_an_adapter_stands_on_a_packed_base(kind: str, tmp_path: Path) -> None:
    base_folder = adapters.tiny_folder(tmp_path, "llama")
    folder = adapters.adapter(tmp_path / "adapter", kind, "llama", base_folder)
    answers: dict[str, dict[int, float]] = {}
    for dtype in ("float32", "int8"):
        options = Options(device="cpu", dtype=dtype, roots=(tmp_path,), base_paths=(("llama", base_folder),))
        base = BACKENDS.get("local").load(adapters.card("llama", base_folder), options)
        generator = BACKENDS.get("adapter").load(adapters.card("adapter", folder, base_folder), options, base)
        sampling = Sampling(max_new_tokens=1, greedy=True)
        [stream] = generator.submit([Request(Prompt("Once upon a time"), sampling, trace=5)])
        list(stream)
        [token] = stream.completions[0].tokens
        answers[dtype] = {option.id: option.probability for option in token.stages[0].alternatives}
        generator.close()
        base.close()
    common = answers["float32"].keys() & answers["int8"].keys()
    assert len(common) >= 3
    assert all(abs(answers["float32"][key] - answers["int8"][key]) < 0.1 for key in common)
