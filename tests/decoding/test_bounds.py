"""What a batch takes in memory: a long row beside short ones, and a sentence before there is none left."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from genai_lab.decoding import Sampling, scheduler
from genai_lab.decoding.batch import Batch
from genai_lab.errors import ModelError
from genai_lab.models import Prompt, Request, Stream
from genai_lab.models.transformers import LocalGenerator
from tests.decoding.conftest import SMALL, generator_of, tiny_t5

LONG, SHORT = 2000, 20


@pytest.fixture
def generator() -> Iterator[LocalGenerator]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**SMALL, **sizes, num_key_value_heads=2, max_position_embeddings=4096, initializer_range=0.3)
    made = generator_of(LlamaForCausalLM(config), 4096)
    made._ends = frozenset()
    yield made
    made.close()


def requests(tokens: int = 6) -> list[Request]:
    prompts = ["x" * LONG, *("y" * (SHORT + n % 5) for n in range(63))]
    return [Request(Prompt(text), Sampling(max_new_tokens=tokens, seed=n)) for n, text in enumerate(prompts)]


def texts(streams: list[Stream]) -> list[str]:
    for stream in streams:
        list(stream)
    return [stream.completions[0].text for stream in streams]


def cached_bytes(batches: Any) -> int:
    return sum(layer.keys.nbytes + layer.values.nbytes for batch in batches for layer in batch._own().layers)


def most_cached(generator: LocalGenerator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    observed, step = [], Batch.step

    def counted(self: Batch) -> torch.Tensor:
        observed.append(
            cached_bytes([batch for batch in generator.scheduler._batches.values() if batch._cache is not None])
        )
        return step(self)

    monkeypatch.setattr(Batch, "step", counted)
    return observed


def test_a_token_of_the_cache_is_known_from_the_configuration(generator: LocalGenerator) -> None:
    assert generator.scheduler.network.token_bytes == 2 * 2 * 2 * 8 * 4
    pair = generator_of(tiny_t5())
    assert pair.scheduler.network.token_bytes > 0
    pair.close()


def test_a_long_row_does_not_make_short_ones_as_long(
    generator: LocalGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [texts(generator.submit([request]))[0] for request in requests()]
    observed = most_cached(generator, monkeypatch)
    token = generator.scheduler.network.token_bytes
    assert texts(generator.submit(requests())) == alone
    assert max(observed) > 60 * LONG * token, "small enough to be padded"
    observed.clear()
    monkeypatch.setattr(scheduler, "SHARED", 0)
    assert texts(generator.submit(requests())) == alone
    assert max(observed) < token * (2 * LONG + 63 * 2 * (SHORT + 100))


def test_rows_that_come_later_join_the_batch_of_their_length(
    generator: LocalGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "SHARED", 0)
    entered, go = threading.Event(), threading.Event()
    long, *short = requests(40)
    first = generator.submit([long])
    generator.scheduler.call(lambda: (entered.set(), go.wait(60)))
    assert entered.wait(60)
    remainder = generator.submit(short[:10]) + generator.submit(short[10:20])
    observed: list[list[int]] = []
    generator.scheduler.call(
        lambda: observed.append(sorted(len(batch.rows) for batch in generator.scheduler._batches.values()))
    )
    go.set()
    texts(first + remainder)
    assert observed == [[1, 20]]


def test_a_text_that_memory_cannot_hold_is_refused_and_others_go_on(
    generator: LocalGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = generator.scheduler.network
    monkeypatch.setattr(scheduler, "SHARED", 0)
    monkeypatch.setattr(scheduler, "UNNOTICED", 0)
    monkeypatch.setattr(network, "free_bytes", lambda: 50 * SHORT * network.token_bytes)
    long, *short = generator.submit(requests()[:4])
    with pytest.raises(ModelError, match=r"to read a text of 2,000 tokens, and .* are free; shorten the text"):
        list(long)
    assert all(len(text) for text in texts(short))


def test_the_longest_row_ends_with_what_it_has_before_memory_runs_out(
    generator: LocalGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "UNNOTICED", 0)
    free = itertools.chain([10**6], itertools.repeat(10**5))
    monkeypatch.setattr(generator.scheduler.network, "free_bytes", lambda: next(free))
    requests = [Request(Prompt("x" * n), Sampling(max_new_tokens=room, seed=0)) for n, room in ((900, 1000), (20, 60))]
    long, short = generator.submit(requests)
    with pytest.raises(ModelError, match=r"Memory ran short after \d+ tokens: .*ask for fewer tokens"):
        list(long)
    assert long.completions[0].finish_reason == "error"
    assert long.completions[0].text
    assert len(texts([short])[0]) > 0
