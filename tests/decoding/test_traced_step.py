"""When a traced step is taken, which weights it reads, and that its memory comes back."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from genai_lab.decoding import Sampling, batch, scheduler, traced_step
from genai_lab.decoding.fused_layers import fuse_layers
from genai_lab.decoding.prefill import Network
from genai_lab.memory import release, resident
from genai_lab.models import Prompt, Request
from genai_lab.models.transformers import LocalGenerator
from tests.decoding.conftest import generator_of, tiny_llama, without_graph
from tests.waiting import until


def texts(generator: LocalGenerator, count: int, **settings: Any) -> list[str]:
    sampling = [Sampling(max_new_tokens=12, seed=seed, **settings) for seed in range(count)]
    streams = generator.submit([Request(Prompt("Once upon" + " a" * n), item) for n, item in enumerate(sampling)])
    for stream in streams:
        list(stream)
    return [stream.completions[0].text for stream in streams]


def drain(generator: LocalGenerator, tokens: int) -> str:
    """A greedy text that does not end by itself."""
    generator._ends = frozenset()
    [stream] = generator.submit([Request(Prompt("Once upon a time"), Sampling(greedy=True, max_new_tokens=tokens))])
    list(stream)
    return stream.completions[0].text


def test_logits_are_compared_by_their_size_and_their_choice() -> None:
    plain = [torch.tensor([[31.0, 2.0, -30.0]]), torch.tensor([[1.0, 3.0, 2.0]])]
    near = [item + 0.02 for item in plain]
    assert traced_step.same_logits(plain, near)
    assert not traced_step.same_logits(plain, [item + 0.04 for item in plain])
    assert not traced_step.same_logits([torch.tensor([[31.0, 30.99]])], [torch.tensor([[30.99, 31.0]])])


def test_a_model_of_large_logits_is_traced() -> None:
    module = tiny_llama().eval()
    with torch.no_grad():
        module.lm_head.weight *= 3000
    network = Network(module)
    batch.attach_traced_step(network)
    assert network.quick is not None


def test_a_larger_model_has_a_graph_over_its_own_weights_for_a_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = without_graph(generator_of(tiny_llama()))
    monkeypatch.setattr(traced_step, "PACKED", 0)
    generator, used = generator_of(tiny_llama()), []
    network = generator.scheduler.network
    graph = network.quick
    assert network.quick_rows == traced_step.FEW_ROWS

    def counted(*inputs: Any) -> Any:
        used.append(len(inputs[0]))
        return graph(*inputs)

    network.quick = counted
    for count in (1, 8):
        assert texts(generator, count, greedy=True) == texts(plain, count, greedy=True)
        assert texts(generator, count, temperature=0.9) == texts(plain, count, temperature=0.9)
    assert used
    assert max(used) <= traced_step.FEW_ROWS
    generator.close()
    plain.close()


def test_joined_siblings_share_the_memory_of_the_module() -> None:
    module, ids = tiny_llama().eval(), torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = module(ids).logits
        for _ in range(2):
            with fuse_layers(module):
                module(ids)
        assert torch.equal(module(ids).logits, before)
    attention = module.model.layers[0].self_attn
    storages = {getattr(attention, name).weight.untyped_storage().data_ptr() for name in ("q_proj", "k_proj", "v_proj")}
    assert len(storages) == 1


@pytest.mark.parametrize("rejected", [False, True])
def test_what_a_graph_takes_comes_back(rejected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if rejected:
        monkeypatch.setattr(batch, "same_logits", lambda expected, actual, close: False)
    sizes = {"vocab_size": 500, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 1}
    module = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=8)).eval()
    bytes_of = 4 * module.num_parameters()
    network = Network(module)

    def traced_once() -> None:
        batch.attach_traced_step(network)
        assert (network.quick is None) == rejected
        network.quick = None
        release()

    traced_once()
    before = resident()
    traced_once()
    assert resident() - before < bytes_of / 2


def test_no_first_token_waits_for_a_traced_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made once nothing has been asked for in a moment."""
    made: list[int] = []

    def attach(network: Any, largest: int) -> None:
        made.append(generator.scheduler.steps)

    monkeypatch.setattr(scheduler, "attach_traced_step", attach)
    monkeypatch.setattr(scheduler, "IDLE", 0.001)
    generator = generator_of(tiny_llama(), prepared=False)
    assert generator.scheduler.traces
    drain(generator, 4)
    until(lambda: made == [3])
    generator.close()


def test_a_model_gets_its_traced_step_in_the_midst_of_long_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "IDLE", 1000.0)
    monkeypatch.setattr(scheduler, "UNTRACED_STEPS", 3)
    generator = generator_of(tiny_llama(), prepared=False)
    text = drain(generator, 8)
    assert generator.scheduler.network.quick is not None
    assert drain(generator, 8) == text
    generator.close()


def test_whoever_measures_asks_for_the_traced_step_first() -> None:
    generator = generator_of(tiny_llama(), prepared=False)
    assert generator.scheduler.network.quick is None
    for _ in range(2):
        generator.prepare()
        assert generator.scheduler.network.quick is not None
    generator.close()
